// SPDX-License-Identifier: Apache-2.0
// Threads and what they wait with. Thread: a named thread that is joined when its object goes.
// Mutex, MutexLock and CondVar: the standard ones with the annotations of clang's thread-safety
// analysis; abseil's Mutex is not used because Debian's build of it is invisible to
// ThreadSanitizer. Deadlines are those of SystemClock; code that must run in virtual time waits on
// an Executor instead.
#pragma once

#include "store/base/clock.h"
#include "store/base/executor.h"

#include <absl/base/thread_annotations.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace store {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// May wake without a reason: wait in a loop that looks at the condition.
class CondVar {
 public:
  void Wait(Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // False when the deadline passed.
  bool WaitUntil(Mutex& mutex, TimePoint deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

class Thread {
 public:
  Thread() = default;
  // Starts at once. `name` is what ps and a debugger show, cut at 15 bytes. An exception that
  // leaves `body` ends the process.
  Thread(const std::string& name, Action body);
  ~Thread() { Join(); }
  Thread(Thread&&) = default;
  // Joins what this object ran before.
  Thread& operator=(Thread&& other) noexcept;

  // Waits for the end of the body; no effect the second time. Not from the thread itself.
  void Join();
  bool running() const { return thread_.joinable(); }
  // Binds the thread to one processor; false if the machine refuses.
  bool PinTo(int cpu);

 private:
  std::thread thread_;
};

}  // namespace store
