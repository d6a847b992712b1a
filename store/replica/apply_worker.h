// SPDX-License-Identifier: Apache-2.0
// ApplyWorker: the apply thread. Takes committed entries in order, runs them through the state
// machine in batches, and after each batch tells everybody: watch hub (events), loops (results),
// replica (report). Also runs actions of others between batches, for what only apply may touch
// (lease tables, index trim). Start and Stop by the owner; Post by the replica thread; TryRun by
// any thread. Entries are bounded by what raft hands out (apply_bytes_max not yet reported),
// actions by ApplyWorkerLimits. A full disk does not stop it: the refused batch is offered again
// until the engine takes it, and nothing after it is applied (architecture 3.3). Any other error is
// fatal.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/executor.h"
#include "store/base/log.h"
#include "store/base/mailbox.h"
#include "store/base/thread.h"
#include "store/raft/types.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace store::replica {

// Where a batch's outcome goes. All called on the apply thread; none may block.
struct ApplySinks {
  absl::AnyInvocable<void(mvcc::EventBatchPtr)> events;
  absl::AnyInvocable<void(std::vector<apply::LoopResults>)> results;
  absl::AnyInvocable<void(apply::ApplyReport)> report;
  absl::AnyInvocable<void(const Error&)> fatal;
};

struct ApplyWorkerLimits {
  size_t actions_max = 10'000;
  Duration slow_batch = std::chrono::milliseconds(100);  // from here on a batch counts as slow
  Duration no_space_retry = std::chrono::milliseconds(100);
};

class ApplyWorker {
 public:
  ApplyWorker(const ApplyWorkerLimits& limits, apply::StateMachine& machine, ApplySinks sinks,
              const Clock& clock, Logger log);
  ~ApplyWorker() { Stop(); }

  void Start();
  // What was posted before is dropped if it was not begun: it is in the log and replays.
  void Stop();

  // What everybody is told of a batch, in the order that makes answers agree with each other.
  static void Tell(ApplySinks& sinks, apply::BatchOutcome outcome);

  void Post(std::vector<raft::EntryPtr> entries);
  // The replica thread as the apply thread, for a moment: false, and nothing is done, unless that
  // one has nothing to do.
  bool TryApplyHere(std::vector<raft::EntryPtr>* entries);
  // From now on a full disk is not waited out. Any thread.
  void StopWaiting();
  bool TryRun(Action&& action);
  // The same, for what the replica orders: it is not refused, and there is one at a time.
  void Run(Action action);

  // Batches that took `slow_batch` or more, a full disk included. Any thread.
  uint64_t slow_batches() const { return slow_batches_.load(std::memory_order_relaxed); }
  // A full disk holds up apply. Any thread.
  bool out_of_space() const { return out_of_space_.load(std::memory_order_relaxed); }

 private:
  using Item = std::variant<std::vector<raft::EntryPtr>, Action>;

  void Work();
  void Begin();
  void End();
  // False: the thread must end.
  bool ApplyAll(std::vector<raft::EntryPtr>* entries);
  bool ApplySome(std::span<const raft::EntryPtr> entries, size_t* taken);
  // False: stopped meanwhile.
  bool WaitForSpace(const Error& error);

  const ApplyWorkerLimits limits_;
  apply::StateMachine& machine_;
  ApplySinks sinks_;
  const Clock& clock_;
  Logger log_;
  Mailbox<Item> mailbox_;
  // Whether a thread is the apply thread now: from the moment it takes items, or finds none.
  std::atomic<bool> busy_{false};
  std::atomic<bool> out_of_space_{false};
  std::atomic<uint64_t> slow_batches_{0};

  Mutex stop_mutex_;
  CondVar stop_signal_;
  bool stopping_ ABSL_GUARDED_BY(stop_mutex_) = false;
  Thread thread_;
};

}  // namespace store::replica
