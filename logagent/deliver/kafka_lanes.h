// SPDX-License-Identifier: Apache-2.0
// KafkaLanes: Kafka by one producer for what is appended now (the live lane) and, while files are
// read at full speed, by kBacklogLanes more for those. A broker serves a connection one request
// after the other, and the library a partition one batch after the other: a line behind megabytes
// of a backlog waits for them all; and one connection is idle at one end or the other most of the
// time, which two are not (one is used, though, while there are new lines). The backlog lanes are
// made when a large batch finds the live one busy, so an idle agent has one producer. Files whose
// lines do not compress (compression_sample.h) have backlog lanes of their own, which do not try. A
// file changes lanes only when all it has in flight is answered (kFull until then), so its order
// stays. Whether a topic can take lines is the live lane's to say; what the backlog lanes are not
// ready for goes by the live one. Threads as KafkaSink: Prepare, Produce, Topic by any shard, Poll
// by one thread. Bounded: KafkaSink's limits for each lane, a row for each file with something in
// flight, and the samples of kSamplesMax files.
#pragma once

#include "logagent/deliver/backlog_lanes.h"
#include "logagent/deliver/kafka_sink.h"

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <optional>

namespace logagent {

// What two give and one does not: tests/bench/README.md.
inline constexpr size_t kBacklogLanes = 2;
inline constexpr size_t kSamplesMax = 4096;

class KafkaLanes final : public Sink {
 public:
  // As KafkaSink::Make. No backlog lanes where there are no descriptors for them: some eight each,
  // and three for each further broker; of each of the two kinds.
  static Result<std::unique_ptr<KafkaLanes>> Make(const KafkaConfig& config, DeadLetterSpool& spool,
                                                  const store::Clock& clock,
                                                  const store::Logger& log = {},
                                                  size_t backlog_lanes = kBacklogLanes);

  void Prepare(std::string_view topic) override;
  Offer Produce(Batch& batch) override;
  TopicStatus Topic(std::string_view topic) const override;
  void Poll(absl::FunctionRef<void(Delivery)> deliver) override;
  void Wake() override;

  // Of all lanes, counters also of those that were given up.
  KafkaStats Stats() const;
  // Tests only: see KafkaSink; of the live lane or of all others.
  void InjectFatalError(bool backlog = false);

 private:
  struct Lane {
    KafkaSink* sink = nullptr;
    BacklogLanes* of = nullptr;  // null: the live lane
  };
  // How a file's lines go: while it has ranges in flight, no other way.
  struct Way {
    Lane lane;
    uint32_t ranges = 0;
    store::TimePoint large_at;  // when the last large batch of them came
  };
  // Outlives what is in flight: a file that waits is offered again with each answer.
  struct Sample {
    bool raw = false;         // compressing the file's lines would not pay
    uint64_t bytes_left = 0;  // it speaks for so many more
  };

  KafkaLanes(const KafkaConfig& config, DeadLetterSpool& spool, const store::Clock& clock,
             const store::Logger& log, std::unique_ptr<KafkaSink> live, size_t backlog_lanes,
             bool samples);
  BacklogLanes* BacklogFor(const Batch& batch, const FileKey& file);
  bool IsRaw(const Batch& batch, const FileKey& file);
  void SpendSample(const FileKey& file, uint64_t bytes);
  Lane LaneOf(const FileKey& file, BacklogLanes* backlog, store::TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Lane> TakeWay(const FileKey& file, BacklogLanes* backlog, bool small);
  void LeaveWay(const FileKey& file);

  const store::Clock& clock_;
  const std::unique_ptr<KafkaSink> live_;
  BacklogLanes compressed_;  // as it is configured
  BacklogLanes raw_;
  std::atomic<uint64_t> raw_bytes_ = 0;
  std::atomic<uint64_t> samples_taken_ = 0;
  store::Mutex mutex_;
  absl::flat_hash_map<FileKey, Way> ways_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<FileKey, Sample> samples_ ABSL_GUARDED_BY(mutex_);
  store::TimePoint live_at_ ABSL_GUARDED_BY(mutex_);  // when a small batch went by the live lane
};

}  // namespace logagent
