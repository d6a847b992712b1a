// SPDX-License-Identifier: Apache-2.0
#include "store/api/leader_monitor.h"

#include <utility>

namespace store::api {
namespace {

constexpr int kMissedMax = 3;

}  // namespace

uint64_t LeaderMonitor::Add(Action on_lost) {
  uint64_t id = next_++;
  streams_.emplace(id, std::move(on_lost));
  Arm();
  return id;
}

void LeaderMonitor::Arm() {
  if (armed_ || streams_.empty()) return;
  armed_ = true;
  executor_.After(election_timeout_, [this] {
    armed_ = false;
    Tick();
    Arm();
  });
}

void LeaderMonitor::Tick() {
  bool leads = gauges_.leader.load(std::memory_order_relaxed) != 0;
  missed_ = leads ? 0 : missed_ + 1;
  if (missed_ < kMissedMax) return;
  missed_ = 0;
  for (auto& [id, on_lost] : std::exchange(streams_, {})) on_lost();
}

}  // namespace store::api
