// SPDX-License-Identifier: Apache-2.0
#include "store/base/worker_pool.h"

#include "store/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace store {

WorkerPool::WorkerPool(std::string name, size_t threads, std::vector<WorkClassLimits> classes)
    : name_(std::move(name)), thread_count_(threads) {
  CHECK(threads > 0);
  CHECK(!classes.empty());
  MutexLock lock(mutex_);
  for (WorkClassLimits& limits : classes) {
    CHECK(limits.running_max > 0 && limits.waiting_max > 0, "class {}", limits.name);
    lanes_.push_back(Lane{std::move(limits), {}, 0});
  }
}

void WorkerPool::Start() {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
  }
  while (threads_.size() < thread_count_) {
    threads_.emplace_back(fmt::format("{}-{}", name_, threads_.size()), [this] { Work(); });
  }
}

void WorkerPool::Stop() {
  std::deque<Action> dropped;  // destroyed without the lock: captures may do anything
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    for (Lane& lane : lanes_) {
      std::ranges::move(lane.waiting, std::back_inserter(dropped));
      lane.waiting.clear();
    }
  }
  work_.NotifyAll();
  for (Thread& thread : threads_) thread.Join();
  threads_.clear();
}

bool WorkerPool::TrySubmit(WorkClass work_class, Action&& action) {
  {
    MutexLock lock(mutex_);
    CHECK(work_class.value() < lanes_.size(), "class {}", work_class);
    Lane& lane = lanes_[work_class.value()];
    if (stopped_ || lane.waiting.size() >= lane.limits.waiting_max) return false;
    lane.waiting.push_back(std::move(action));
  }
  work_.NotifyOne();
  return true;
}

size_t WorkerPool::waiting(WorkClass work_class) const {
  MutexLock lock(mutex_);
  return lanes_.at(work_class.value()).waiting.size();
}

size_t WorkerPool::running(WorkClass work_class) const {
  MutexLock lock(mutex_);
  return lanes_.at(work_class.value()).running;
}

std::optional<size_t> WorkerPool::PickLane() {
  for (size_t i = 0; i < lanes_.size(); ++i) {
    size_t candidate = (turn_ + i) % lanes_.size();
    const Lane& lane = lanes_[candidate];
    if (!lane.waiting.empty() && lane.running < lane.limits.running_max) {
      turn_ = candidate + 1;
      return candidate;
    }
  }
  return std::nullopt;
}

void WorkerPool::Work() {
  while (true) {
    Action action;
    size_t taken = 0;
    {
      MutexLock lock(mutex_);
      std::optional<size_t> lane = PickLane();
      while (!lane && !stopped_) {
        work_.Wait(mutex_);
        lane = PickLane();
      }
      if (!lane) return;
      taken = *lane;
      action = std::move(lanes_[taken].waiting.front());
      lanes_[taken].waiting.pop_front();
      ++lanes_[taken].running;
    }
    action();
    action = nullptr;  // its captures go before the class counts as free
    MutexLock lock(mutex_);
    // No wake-up is needed: this thread itself looks for the next action of the class.
    --lanes_[taken].running;
  }
}

}  // namespace store
