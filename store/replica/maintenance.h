// SPDX-License-Identifier: Apache-2.0
// Maintenance: slow work on the state, on two threads of its own and never on apply: flushing the
// engine (which moves the durable applied index, behind which the log may be cut), collecting
// compacted revisions, full compaction (defragment), hashes. Tick looks whether something is due
// and costs nothing if not. Start, Stop, Tick by the owner (replica thread); OnApplied by apply;
// Defragment and RunHash by any thread. Bounded: one running and one waiting action per kind,
// sixteen hashes. A disk that gets full is flushed early: what the state holds durably, the log
// need not. Works on the machine's engine of the moment; while a snapshot is installed (Pause)
// nothing is collected, and what began on the former engine ends there.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/thread.h"
#include "store/base/timing.h"
#include "store/base/worker_pool.h"
#include "store/mvcc/collector.h"
#include "store/raft/types.h"
#include "store/replica/apply_worker.h"
#include "store/replica/gauges.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace store::replica {

struct MaintenanceLimits {
  Duration flush_interval = std::chrono::seconds(60);
  // Of entries applied since the last flush: both bound the replay at the next start.
  uint64_t flush_bytes = 64 << 20;
  uint64_t flush_entries = 100'000;
  Duration collect_retry = std::chrono::seconds(1);  // while an open view holds it up
  Duration disk_look_interval = std::chrono::milliseconds(100);
  Duration low_disk_flush_interval = std::chrono::seconds(1);
};

// All called on a maintenance thread; the last two may be empty.
struct MaintenanceHooks {
  absl::AnyInvocable<void(const Error&)> fatal;
  // The durable applied index has moved.
  absl::AnyInvocable<void(raft::Index durable)> flushed;
  absl::AnyInvocable<DiskRoom()> look_at_disk;
};

// Of etcd's names; the default measures nothing.
struct MaintenanceMetrics {
  Timing flush;
  Timing defragment;
  Gauge* defragmenting = nullptr;
  Counter* collected = nullptr;  // records
};

class Maintenance {
 public:
  // Of at most 1 MiB of keys each (mvcc::Collector); collection waits while so many wait for apply.
  static constexpr int kTrimsWaitingMax = 16;

  Maintenance(const MaintenanceLimits& limits, apply::StateMachine& machine, ApplyWorker& apply,
              const Clock& clock, Logger log, MaintenanceHooks hooks);

  // Before Start.
  void Observe(const MaintenanceMetrics& metrics) { metrics_ = metrics; }
  void Start(raft::Index durable);
  void Stop();
  void Tick(TimePoint now);
  // Apply thread, before the report goes out.
  void OnApplied(raft::Index applied, size_t bytes);

  // Around an install, apply thread. Pause waits for the running step of a collection.
  void Pause();
  void Resume(raft::Index durable);

  // A clean stop leaves nothing to replay. On the caller's thread, after Stop.
  Status FlushNow();
  // What a flush would write at most. Any thread.
  uint64_t unflushed_bytes() const { return unflushed_bytes_.load(std::memory_order_relaxed); }
  // Any thread; <= kTrimsWaitingMax.
  int trims_waiting() const { return trims_waiting_.load(std::memory_order_relaxed); }
  // False when one is waiting already, or stopped. `done` runs on a maintenance thread.
  bool Defragment(absl::AnyInvocable<void(Status)> done);
  bool RunHash(Action&& action);

 private:
  void LookAtDisk();
  void Flush();
  void Collect();
  Status RunDefragment();
  // Around a step of a collection. False: somebody holds steps off.
  bool BeginStep();
  void EndStep();
  // Waits for the running step; none begins until each who held has released.
  void HoldSteps();
  void ReleaseSteps();

  const MaintenanceLimits limits_;
  apply::StateMachine& machine_;
  ApplyWorker& apply_;
  const Clock& clock_;
  Logger log_;
  MaintenanceHooks hooks_;
  MaintenanceMetrics metrics_;
  std::unique_ptr<mvcc::Collector> collector_;  // used by one Collect at a time
  WorkerPool pool_;

  Mutex step_mutex_;
  CondVar step_ended_;
  bool in_step_ ABSL_GUARDED_BY(step_mutex_) = false;
  int step_holds_ ABSL_GUARDED_BY(step_mutex_) = 0;  // an install, a full compaction

  std::atomic<uint64_t> applied_{0};
  std::atomic<uint64_t> durable_{0};
  std::atomic<uint64_t> unflushed_bytes_{0};
  std::atomic<bool> flushing_{false};
  std::atomic<bool> collecting_{false};
  std::atomic<bool> collect_waits_{false};
  std::atomic<int> trims_waiting_{0};
  std::atomic<bool> disk_low_{false};
  TimePoint next_flush_{};    // replica thread
  TimePoint last_flush_{};    // replica thread
  TimePoint next_collect_{};  // replica thread
  TimePoint next_look_{};     // replica thread
};

}  // namespace store::replica
