// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/backlog_lanes.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace logagent {
namespace {

// A producer that could not be made, for want of descriptors perhaps.
constexpr store::Duration kMakeAgain = std::chrono::minutes(10);

void AddCounters(const KafkaStats& from, KafkaStats* to) {
  to->lines_delivered += from.lines_delivered;
  to->lines_dead += from.lines_dead;
  to->ranges_rejected += from.ranges_rejected;
  to->rebuilds += from.rebuilds;
}

void AddGauges(const KafkaStats& from, KafkaStats* to) {
  to->producers += from.producers;
  to->in_flight_bytes += from.in_flight_bytes;
  to->in_flight_ranges += from.in_flight_ranges;
  to->producers_busy += from.producers_busy;
  to->queued_bytes += from.queued_bytes;
  to->queued_bytes_max += from.queued_bytes_max;
  if (to->error.empty()) {
    to->error = from.error;
  }
  for (const auto& row : from.stalled) {
    bool known = std::ranges::any_of(to->stalled,
                                     [&](const auto& other) { return other.first == row.first; });
    if (!known) {
      to->stalled.push_back(row);
    }
  }
}

}  // namespace

BacklogLanes::BacklogLanes(KafkaConfig config, DeadLetterSpool& spool, const store::Clock& clock,
                           store::Logger log, KafkaSink& live, size_t count)
    : config_(std::move(config)),
      spool_(spool),
      clock_(clock),
      log_(std::move(log)),
      live_(live),
      count_(count) {}

void BacklogLanes::Want() {
  if (enabled() && !wanted_.exchange(true)) {
    live_.Wake();
  }
}

bool BacklogLanes::IsReady(std::string_view topic) {
  if (lanes_.empty()) {
    return false;
  }
  int32_t partitions = live_.Topic(topic).partitions;
  bool ready = true;
  for (const auto& lane : lanes_) {
    TopicStatus status = lane->Topic(topic);
    if (status.state == TopicStatus::State::kWaiting) {
      lane->Prepare(topic);
    }
    ready = ready && status.state == TopicStatus::State::kReady && status.partitions == partitions;
  }
  return ready;
}

KafkaSink* BacklogLanes::LaneOf(const FileKey& file, bool first) const {
  return lanes_[first ? 0 : file.inode % lanes_.size()].get();
}

void BacklogLanes::NoteUsed() { used_ns_ = clock_.Now().time_since_epoch().count(); }

void BacklogLanes::Poll(absl::FunctionRef<void(Delivery)> deliver) {
  for (const auto& lane : lanes_) {
    lane->PollNow(deliver);
  }
  if (!lanes_.empty()) {
    GiveUpIdle();
  } else if (wanted_.load()) {
    Make();
  }
}

void BacklogLanes::Make() {
  if (clock_.Now() < next_make_) {
    return;
  }
  std::vector<std::unique_ptr<KafkaSink>> lanes;
  while (lanes.size() < count_) {
    auto made = KafkaSink::Make(config_, spool_, clock_, log_, &live_);
    if (!made) {
      log_.Warn("no producers for backlogs: new lines wait behind them", {made.error()});
      next_make_ = clock_.Now() + kMakeAgain;
      return;
    }
    lanes.push_back(std::move(*made));
  }
  NoteUsed();
  std::unique_lock exclusive(mutex_);
  lanes_ = std::move(lanes);
}

void BacklogLanes::GiveUpIdle() {
  store::Duration idle = clock_.Now().time_since_epoch() - store::Duration(used_ns_.load());
  if (idle < kLaneIdle) {
    return;
  }
  std::vector<std::unique_ptr<KafkaSink>> lanes;  // go when nobody waits for the mutex any more
  std::unique_lock exclusive(mutex_);
  KafkaStats stats = given_up_;
  for (const auto& lane : lanes_) {
    KafkaStats of_lane = lane->Stats();
    if (of_lane.in_flight_ranges > 0) {
      return;
    }
    AddCounters(of_lane, &stats);
  }
  given_up_ = stats;
  lanes.swap(lanes_);
  wanted_ = false;
}

void BacklogLanes::AddTo(KafkaStats* stats) const {
  Hold hold = HoldLanes();
  AddCounters(given_up_, stats);
  for (const auto& lane : lanes_) {
    KafkaStats of_lane = lane->Stats();
    AddCounters(of_lane, stats);
    AddGauges(of_lane, stats);
  }
}

void BacklogLanes::InjectFatalError() {
  Hold hold = HoldLanes();
  for (const auto& lane : lanes_) {
    lane->InjectFatalError();
  }
}

}  // namespace logagent
