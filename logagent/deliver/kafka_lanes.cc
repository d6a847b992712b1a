// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_lanes.h"

#include "logagent/deliver/compression_sample.h"
#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace logagent {
namespace {

// No large batch of a file for so long, and its backlog is over: it waits for the answers to it and
// goes on by the live lane.
constexpr store::Duration kBacklogOver = std::chrono::milliseconds(20);
// New lines are rather to be expected so long after the last ones.
constexpr store::Duration kLiveRecent = std::chrono::seconds(1);
// What one sample speaks for: it costs a hundredth of sending that.
constexpr uint64_t kSampleEvery = 16 << 20;

// Whatever content it has: a truncated file's new lines follow the former ones.
FileKey FileOf(FileKey key) {
  key.generation = 0;
  return key;
}

KafkaConfig WithoutCompression(KafkaConfig config) {
  config.properties.erase("compression.type");
  config.properties.erase("compression.codec");
  config.compression = "none";
  return config;
}

// From the first line to the end of the last, with the newlines between them.
std::string_view LinesOf(const Batch& batch) {
  const Line& last = batch.lines.back();
  const size_t begin = batch.lines.front().begin;
  return {batch.chunk->data() + begin, last.begin + last.length - begin};
}

}  // namespace

Result<std::unique_ptr<KafkaLanes>> KafkaLanes::Make(const KafkaConfig& config,
                                                     DeadLetterSpool& spool,
                                                     const store::Clock& clock,
                                                     const store::Logger& log,
                                                     size_t backlog_lanes) {
  auto conf = MakePlainKafkaConf(config);
  RETURN_IF_ERROR(conf);
  const bool samples =
      !config.compress_always && OnlyFindsRepetitions(PropertyOf(conf->get(), "compression.codec"));
  auto live = KafkaSink::Make(config, spool, clock, log);
  RETURN_IF_ERROR(live);
  return std::unique_ptr<KafkaLanes>(
      new KafkaLanes(config, spool, clock, log, std::move(*live), backlog_lanes, samples));
}

KafkaLanes::KafkaLanes(const KafkaConfig& config, DeadLetterSpool& spool, const store::Clock& clock,
                       const store::Logger& log, std::unique_ptr<KafkaSink> live,
                       size_t backlog_lanes, bool samples)
    : clock_(clock),
      live_(std::move(live)),
      compressed_(config, spool, clock, log, *live_, backlog_lanes),
      raw_(WithoutCompression(config), spool, clock, log, *live_, samples ? backlog_lanes : 0) {}

void KafkaLanes::Prepare(std::string_view topic) { live_->Prepare(topic); }

TopicStatus KafkaLanes::Topic(std::string_view topic) const { return live_->Topic(topic); }

void KafkaLanes::Wake() { live_->Wake(); }

Sink::Offer KafkaLanes::Produce(Batch& batch) {
  BacklogLanes::Hold hold_compressed = compressed_.HoldLanes();
  BacklogLanes::Hold hold_raw = raw_.HoldLanes();
  const uint64_t payload = batch.payload_bytes();
  const bool small = payload <= kSmallBatchBytes;
  const FileKey file = FileOf(batch.file);
  BacklogLanes* backlog = small ? nullptr : BacklogFor(batch, file);
  const std::optional<Lane> lane = TakeWay(file, backlog, small);
  if (!lane) {
    return Offer::kFull;
  }
  Offer offer = lane->sink->Produce(batch);
  if (offer != Offer::kTaken) {
    LeaveWay(file);
    return offer;
  }
  if (lane->of != nullptr) {
    lane->of->NoteUsed();
    SpendSample(file, payload);
  }
  if (lane->of == &raw_) {
    raw_bytes_ += payload;
  }
  return offer;
}

// Asks for the lanes when they are not there and would help. Null: the live lane.
BacklogLanes* KafkaLanes::BacklogFor(const Batch& batch, const FileKey& file) {
  if (compressed_.empty() && raw_.empty() && !live_->Busy()) {
    return nullptr;
  }
  if (raw_.enabled() && IsRaw(batch, file)) {
    raw_.Want();
    if (raw_.IsReady(batch.topic)) {
      return &raw_;
    }
  } else {
    compressed_.Want();
  }
  return compressed_.IsReady(batch.topic) ? &compressed_ : nullptr;
}

// The sample is taken outside of the mutex.
bool KafkaLanes::IsRaw(const Batch& batch, const FileKey& file) {
  {
    store::MutexLock lock(mutex_);
    auto at = samples_.find(file);
    if (at != samples_.end() && at->second.bytes_left > 0) {
      return at->second.raw;
    }
  }
  const bool raw = !CompressionPays(LinesOf(batch));
  ++samples_taken_;
  store::MutexLock lock(mutex_);
  if (samples_.size() >= kSamplesMax) {
    samples_.clear();
  }
  samples_[file] = {raw, kSampleEvery};
  return raw;
}

void KafkaLanes::SpendSample(const FileKey& file, uint64_t bytes) {
  store::MutexLock lock(mutex_);
  auto at = samples_.find(file);
  if (at != samples_.end()) {
    at->second.bytes_left -= std::min(at->second.bytes_left, bytes);
  }
}

// Two connections with a backlog each are what a broker is busiest with: while there are new lines
// that may wait for it, there is one.
KafkaLanes::Lane KafkaLanes::LaneOf(const FileKey& file, BacklogLanes* backlog,
                                    store::TimePoint now) const {
  if (backlog == nullptr) {
    return {live_.get(), nullptr};
  }
  return {backlog->LaneOf(file, /*first=*/now - live_at_ < kLiveRecent), backlog};
}

// Nothing: first what it has in flight by another lane. A small batch goes by the lane its file
// has, for a file that is read at full speed has one now and then, but not for ever.
std::optional<KafkaLanes::Lane> KafkaLanes::TakeWay(const FileKey& file, BacklogLanes* backlog,
                                                    bool small) {
  store::MutexLock lock(mutex_);
  Way& way = ways_[file];
  store::TimePoint now = clock_.Now();
  const Lane wanted = LaneOf(file, backlog, now);
  if (way.ranges == 0) {
    way.lane = wanted;
  }
  if (!small) {
    way.large_at = now;
  }
  if (way.lane.sink != wanted.sink && (!small || now - way.large_at >= kBacklogOver)) {
    return std::nullopt;
  }
  if (small && way.lane.of == nullptr) {
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
  compressed_.Poll(answer);
  raw_.Poll(answer);
}

KafkaStats KafkaLanes::Stats() const {
  KafkaStats stats = live_->Stats();
  compressed_.AddTo(&stats);
  raw_.AddTo(&stats);
  stats.raw_bytes = raw_bytes_.load();
  stats.samples = samples_taken_.load();
  return stats;
}

void KafkaLanes::InjectFatalError(bool backlog) {
  if (!backlog) {
    live_->InjectFatalError();
    return;
  }
  compressed_.InjectFatalError();
  raw_.InjectFatalError();
}

}  // namespace logagent
