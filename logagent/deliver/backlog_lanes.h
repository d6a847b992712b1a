// SPDX-License-Identifier: Apache-2.0
// BacklogLanes: the producers by which files are read at full speed with one codec (KafkaLanes says
// why there are several, and which goes by them). All are made when they are wanted and given up
// when nothing was sent by them for kLaneIdle. Want, HoldLanes, AddTo: any thread; what needs the
// hold: any thread that has it; Poll: the poller thread, which alone makes them and gives them up.
// Bounded: KafkaSink's limits for each of `count` producers.
#pragma once

#include "logagent/deliver/kafka_sink.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <shared_mutex>
#include <vector>

namespace logagent {

inline constexpr store::Duration kLaneIdle = std::chrono::seconds(30);

class BacklogLanes {
 public:
  using Hold = std::shared_lock<std::shared_mutex>;

  // `live`, which outlives them, is woken by their news and knows the topics. No lanes if `count`
  // is 0.
  BacklogLanes(KafkaConfig config, DeadLetterSpool& spool, const store::Clock& clock,
               store::Logger log, KafkaSink& live, size_t count);

  bool enabled() const { return count_ > 0; }
  // Asks for the lanes; they are there some time later, or not (no descriptors).
  void Want();
  // While it is held the lanes stay.
  Hold HoldLanes() const { return Hold(mutex_); }

  // With the hold.
  bool empty() const { return lanes_.empty(); }
  // All can take the topic's lines, and see the partitions the live lane sees, for a file's lines
  // go to one of them.
  bool IsReady(std::string_view topic);
  // The file's, or, for all files, the first. They are ready.
  KafkaSink* LaneOf(const FileKey& file, bool first) const;
  void NoteUsed();

  void Poll(absl::FunctionRef<void(Delivery)> deliver);
  // Of all that are there, counters also of those that were given up.
  void AddTo(KafkaStats* stats) const;
  // Tests only: see KafkaSink.
  void InjectFatalError();

 private:
  void Make();
  void GiveUpIdle();

  const KafkaConfig config_;
  DeadLetterSpool& spool_;
  const store::Clock& clock_;
  const store::Logger log_;
  KafkaSink& live_;
  const size_t count_;
  // Held shared while the lanes are used, exclusively while they are made or given up; the poller
  // thread reads them without.
  mutable std::shared_mutex mutex_;
  std::vector<std::unique_ptr<KafkaSink>> lanes_;  // all of them or none
  KafkaStats given_up_;                            // their counters; the same mutex
  std::atomic<bool> wanted_ = false;
  std::atomic<int64_t> used_ns_ = 0;
  store::TimePoint next_make_;  // of the poller thread
};

}  // namespace logagent
