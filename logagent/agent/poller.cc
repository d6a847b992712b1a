// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/poller.h"

#include <utility>

namespace logagent {

uint32_t ShardOf(uint64_t device, uint64_t inode, uint32_t count) {
  if (count <= 1) {
    return 0;
  }
  uint64_t mixed = (device ^ (inode * 0x9E3779B97F4A7C15U)) * 0xBF58476D1CE4E5B9U;
  return static_cast<uint32_t>((mixed >> 32) % count);
}

Poller::Poller(Sink& sink, std::vector<Shard*> shards) : sink_(sink), shards_(std::move(shards)) {}

Poller::~Poller() { Stop(); }

void Poller::Start() {
  thread_ = store::Thread("kafka-poll", [this] { Run(); });
}

void Poller::Stop() {
  stopping_ = true;
  sink_.Wake();
  thread_.Join();
}

void Poller::Run() {
  std::vector<std::vector<Delivery>> mail(shards_.size());
  while (!stopping_.load()) {
    sink_.Poll([&](Delivery delivery) {
      auto count = static_cast<uint32_t>(shards_.size());
      mail[ShardOf(delivery.file.device, delivery.file.inode, count)].push_back(
          std::move(delivery));
    });
    for (size_t i = 0; i < mail.size(); ++i) {
      if (!mail[i].empty()) {
        shards_[i]->Deliver(std::exchange(mail[i], {}));
      }
    }
  }
}

}  // namespace logagent
