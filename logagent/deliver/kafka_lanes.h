// SPDX-License-Identifier: Apache-2.0
// KafkaLanes: Kafka by one producer for what is appended now (the live lane) and, while files are
// read at full speed, by kBacklogLanes more for those. A broker serves a connection one request
// after the other, and the library a partition one batch after the other: a line behind megabytes
// of a backlog waits for them all; and one connection is idle at one end or the other most of the
// time, which two are not (one is used, though, while there are new lines). The backlog lanes are
// made when a large batch finds the live one busy, and given up when nothing was sent by them for
// kLaneIdle, so an idle agent has one producer. A file changes lanes only when all it has in flight
// is answered (kFull until then), so its order stays. Whether a topic can take lines is the live
// lane's to say; what the backlog lanes are not ready for goes by the live one. Threads as
// KafkaSink: Prepare, Produce, Topic by any shard, Poll by one thread, which makes the backlog
// lanes and gives them up. Bounded: KafkaSink's limits for each lane, and a row for each file with
// something in flight.
#pragma once

#include "logagent/deliver/kafka_sink.h"

#include <absl/container/flat_hash_map.h>

#include <chrono>

namespace logagent {

// What two give and one does not: tests/bench/README.md.
inline constexpr size_t kBacklogLanes = 2;
inline constexpr store::Duration kLaneIdle = std::chrono::seconds(30);

class KafkaLanes final : public Sink {
 public:
  // As KafkaSink::Make. No backlog lanes where there are no descriptors for them: some eight each,
  // and three for each further broker.
  static Result<std::unique_ptr<KafkaLanes>> Make(const KafkaConfig& config, DeadLetterSpool& spool,
                                                  const store::Clock& clock, store::Logger log = {},
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
  // How a file's lines go: while it has ranges in flight, no other way.
  struct Way {
    KafkaSink* lane = nullptr;
    uint32_t ranges = 0;
    store::TimePoint large_at;  // when the last large batch of them came
  };

  KafkaLanes(const KafkaConfig& config, DeadLetterSpool& spool, const store::Clock& clock,
             store::Logger log, std::unique_ptr<KafkaSink> live, size_t backlog_lanes);
  bool BacklogIsReady(std::string_view topic);
  KafkaSink* BacklogOf(const FileKey& file, store::TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  KafkaSink* TakeWay(const FileKey& file, bool backlog, bool small);
  void LeaveWay(const FileKey& file);
  void MakeBacklog();
  void GiveUpIdleBacklog();

  const KafkaConfig config_;
  DeadLetterSpool& spool_;
  const store::Clock& clock_;
  const store::Logger log_;
  const std::unique_ptr<KafkaSink> live_;
  const size_t backlog_lanes_;
  // Held shared while the backlog lanes are used, exclusively while they are made or given up; the
  // poller thread, which alone does that, reads them without.
  mutable std::shared_mutex backlog_mutex_;
  std::vector<std::unique_ptr<KafkaSink>> backlog_;  // all of them or none
  KafkaStats given_up_;                              // their counters; the same mutex
  std::atomic<bool> backlog_wanted_ = false;
  std::atomic<int64_t> backlog_used_ns_ = 0;
  store::TimePoint next_make_;  // of the poller thread
  store::Mutex mutex_;
  absl::flat_hash_map<FileKey, Way> ways_ ABSL_GUARDED_BY(mutex_);
  store::TimePoint live_at_ ABSL_GUARDED_BY(mutex_);  // when a small batch went by the live lane
};

}  // namespace logagent
