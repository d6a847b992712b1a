// SPDX-License-Identifier: Apache-2.0
#include "store/base/thread.h"

#include "store/base/check.h"

#include <sched.h>

#include <pthread.h>
#include <system_error>
#include <utility>

namespace store {

void CondVar::Wait(Mutex& mutex) {
  std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
  condition_.wait(lock);
  lock.release();
}

bool CondVar::WaitUntil(Mutex& mutex, TimePoint deadline) {
  std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
  auto steady = std::chrono::steady_clock::time_point(deadline.time_since_epoch());
  std::cv_status status = condition_.wait_until(lock, steady);
  lock.release();
  return status == std::cv_status::no_timeout;
}

Thread::Thread(const std::string& name, Action body) {
  std::string error;
  try {
    thread_ = std::thread([run = std::move(body)]() mutable noexcept { run(); });
  } catch (const std::system_error& e) {
    error = e.what();
  }
  // Threads are made at start-up, a fixed number of them; without one of them nothing works.
  CHECK(error.empty(), "cannot start thread {}: {}", name, error);
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    Join();
    thread_ = std::move(other.thread_);
  }
  return *this;
}

void Thread::Join() {
  if (thread_.joinable()) thread_.join();
}

bool Thread::PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return thread_.joinable() &&
         ::pthread_setaffinity_np(thread_.native_handle(), sizeof(set), &set) == 0;
}

}  // namespace store
