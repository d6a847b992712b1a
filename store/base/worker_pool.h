// SPDX-License-Identifier: Apache-2.0
// WorkerPool: a few threads for work that may block (large ranges, password hashes, file copies),
// bounded. Work belongs to classes; each class has a limit of actions that run at once, so that one
// kind of work cannot occupy all threads, and a limit of actions that wait. Classes with waiting
// work take turns. TrySubmit may be called from any thread, also from an action; Start and Stop by
// the owner, and not from an action.
#pragma once

#include "store/base/executor.h"
#include "store/base/strong_type.h"
#include "store/base/thread.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace store {

struct WorkClassTag {};
// Position of a class in the list given to the pool.
using WorkClass = StrongInt<WorkClassTag, uint32_t>;

struct WorkClassLimits {
  std::string name;
  size_t running_max;
  size_t waiting_max;
};

class WorkerPool {
 public:
  WorkerPool(std::string name, size_t threads, std::vector<WorkClassLimits> classes);
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Start();
  // Waits for the running actions; waiting ones are destroyed without being run. The pool stays
  // stopped.
  void Stop();

  // False if the class is full or the pool is stopped; `action` is moved from only if accepted.
  // Accepted before Start, it runs after it.
  [[nodiscard]] bool TrySubmit(WorkClass work_class, Action&& action);

  // Gauges.
  size_t waiting(WorkClass work_class) const;
  size_t running(WorkClass work_class) const;

 private:
  struct Lane {
    WorkClassLimits limits;
    std::deque<Action> waiting;  // <= limits.waiting_max
    size_t running = 0;          // <= limits.running_max
  };

  void Work();
  // Next lane in turn that may run an action.
  std::optional<size_t> PickLane() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  const size_t thread_count_;
  std::vector<Thread> threads_;  // owner only

  mutable Mutex mutex_;
  CondVar work_;
  std::deque<Lane> lanes_ ABSL_GUARDED_BY(mutex_);
  size_t turn_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace store
