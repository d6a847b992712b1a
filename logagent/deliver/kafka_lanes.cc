// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_lanes.h"

#include "store/base/check.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace logagent {
namespace {

// No large batch of a file for so long, and its backlog is over: it waits for the answers to it and
// goes on by the live lane.
constexpr store::Duration kBacklogOver = std::chrono::milliseconds(20);
// New lines are rather to be expected so long after the last ones.
constexpr store::Duration kLiveRecent = std::chrono::seconds(1);
// A producer that could not be made, for want of descriptors perhaps.
constexpr store::Duration kMakeAgain = std::chrono::minutes(10);

// Whatever content it has: a truncated file's new lines follow the former ones.
FileKey FileOf(FileKey key) {
  key.generation = 0;
  return key;
}

void AddCounters(const KafkaStats& from, KafkaStats* to) {
  to->lines_delivered += from.lines_delivered;
  to->lines_dead += from.lines_dead;
  to->ranges_rejected += from.ranges_rejected;
  to->rebuilds += from.rebuilds;
}

void AddGauges(const KafkaStats& from, KafkaStats* to) {
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

Result<std::unique_ptr<KafkaLanes>> KafkaLanes::Make(const KafkaConfig& config,
                                                     DeadLetterSpool& spool,
                                                     const store::Clock& clock, store::Logger log,
                                                     size_t backlog_lanes) {
  auto live = KafkaSink::Make(config, spool, clock, log);
  RETURN_IF_ERROR(live);
  return std::unique_ptr<KafkaLanes>(
      new KafkaLanes(config, spool, clock, std::move(log), std::move(*live), backlog_lanes));
}

KafkaLanes::KafkaLanes(const KafkaConfig& config, DeadLetterSpool& spool, const store::Clock& clock,
                       store::Logger log, std::unique_ptr<KafkaSink> live, size_t backlog_lanes)
    : config_(config),
      spool_(spool),
      clock_(clock),
      log_(std::move(log)),
      live_(std::move(live)),
      backlog_lanes_(backlog_lanes) {}

void KafkaLanes::Prepare(std::string_view topic) { live_->Prepare(topic); }

TopicStatus KafkaLanes::Topic(std::string_view topic) const { return live_->Topic(topic); }

void KafkaLanes::Wake() { live_->Wake(); }

Sink::Offer KafkaLanes::Produce(Batch& batch) {
  std::shared_lock shared(backlog_mutex_);
  bool small = batch.payload_bytes() <= kSmallBatchBytes;
  const FileKey file = FileOf(batch.file);
  KafkaSink* lane = TakeWay(file, !small && BacklogIsReady(batch.topic), small);
  if (lane == nullptr) {
    return Offer::kFull;
  }
  Offer offer = lane->Produce(batch);
  if (offer != Offer::kTaken) {
    LeaveWay(file);
  } else if (lane != live_.get()) {
    backlog_used_ns_ = clock_.Now().time_since_epoch().count();
  }
  return offer;
}

// Asks for the lanes when there are none and they would help. All have to see the same partitions,
// for a file's lines go to one of them.
bool KafkaLanes::BacklogIsReady(std::string_view topic) {
  if (backlog_.empty()) {
    if (backlog_lanes_ > 0 && live_->Busy() && !backlog_wanted_.exchange(true)) {
      live_->Wake();
    }
    return false;
  }
  int32_t partitions = live_->Topic(topic).partitions;
  bool ready = true;
  for (const auto& lane : backlog_) {
    TopicStatus status = lane->Topic(topic);
    if (status.state == TopicStatus::State::kWaiting) {
      lane->Prepare(topic);
    }
    ready = ready && status.state == TopicStatus::State::kReady && status.partitions == partitions;
  }
  return ready;
}

// Two connections with a backlog each are what a broker is busiest with: while there are new lines
// that may wait for it, there is one.
KafkaSink* KafkaLanes::BacklogOf(const FileKey& file, store::TimePoint now) const {
  return backlog_[now - live_at_ < kLiveRecent ? 0 : file.inode % backlog_.size()].get();
}

// Null: first what it has in flight by another lane. A small batch goes by the lane its file has,
// for a file that is read at full speed has one now and then, but not for ever.
KafkaSink* KafkaLanes::TakeWay(const FileKey& file, bool backlog, bool small) {
  store::MutexLock lock(mutex_);
  auto [at, added] = ways_.try_emplace(file);
  Way& way = at->second;
  store::TimePoint now = clock_.Now();
  KafkaSink* wanted = backlog ? BacklogOf(file, now) : live_.get();
  if (added) {
    way.lane = wanted;
  }
  if (!small) {
    way.large_at = now;
  }
  if (way.lane != wanted && (!small || now - way.large_at >= kBacklogOver)) {
    return nullptr;
  }
  if (small && way.lane == live_.get()) {
    live_at_ = now;
  }
  ++way.ranges;
  return way.lane;
}

// Before the answer is handed on, or after a refusal.
void KafkaLanes::LeaveWay(const FileKey& file) {
  store::MutexLock lock(mutex_);
  auto at = ways_.find(file);
  CHECK(at != ways_.end() && at->second.ranges > 0);
  if (--at->second.ranges == 0) {
    ways_.erase(at);
  }
}

void KafkaLanes::Poll(absl::FunctionRef<void(Delivery)> deliver) {
  auto answer = [&](Delivery delivery) {
    LeaveWay(FileOf(delivery.file));
    deliver(std::move(delivery));
  };
  live_->Poll(answer);
  for (const auto& lane : backlog_) {
    lane->PollNow(answer);
  }
  if (!backlog_.empty()) {
    GiveUpIdleBacklog();
  } else if (backlog_wanted_.load()) {
    MakeBacklog();
  }
}

void KafkaLanes::MakeBacklog() {
  if (clock_.Now() < next_make_) {
    return;
  }
  std::vector<std::unique_ptr<KafkaSink>> lanes;
  while (lanes.size() < backlog_lanes_) {
    auto made = KafkaSink::Make(config_, spool_, clock_, log_, live_.get());
    if (!made) {
      log_.Warn("no producers for backlogs: new lines wait behind them", {made.error()});
      next_make_ = clock_.Now() + kMakeAgain;
      return;
    }
    lanes.push_back(std::move(*made));
  }
  backlog_used_ns_ = clock_.Now().time_since_epoch().count();
  std::unique_lock exclusive(backlog_mutex_);
  backlog_ = std::move(lanes);
}

void KafkaLanes::GiveUpIdleBacklog() {
  store::Duration idle = clock_.Now().time_since_epoch() - store::Duration(backlog_used_ns_.load());
  if (idle < kLaneIdle) {
    return;
  }
  std::vector<std::unique_ptr<KafkaSink>> lanes;  // go when nobody waits for the mutex any more
  std::unique_lock exclusive(backlog_mutex_);
  KafkaStats stats = given_up_;
  for (const auto& lane : backlog_) {
    KafkaStats of_lane = lane->Stats();
    if (of_lane.in_flight_ranges > 0) {
      return;
    }
    AddCounters(of_lane, &stats);
  }
  given_up_ = stats;
  lanes.swap(backlog_);
  backlog_wanted_ = false;
}

KafkaStats KafkaLanes::Stats() const {
  KafkaStats stats = live_->Stats();
  std::shared_lock shared(backlog_mutex_);
  AddCounters(given_up_, &stats);
  stats.producers += backlog_.size();
  for (const auto& lane : backlog_) {
    KafkaStats of_lane = lane->Stats();
    AddCounters(of_lane, &stats);
    AddGauges(of_lane, &stats);
  }
  return stats;
}

void KafkaLanes::InjectFatalError(bool backlog) {
  if (!backlog) {
    live_->InjectFatalError();
    return;
  }
  std::shared_lock shared(backlog_mutex_);
  for (const auto& lane : backlog_) {
    lane->InjectFatalError();
  }
}

}  // namespace logagent
