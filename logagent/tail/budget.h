// SPDX-License-Identifier: Apache-2.0
// Budget: the bytes all read buffers of the agent may hold, counted from the read until the last
// line of the buffer is decided. When it is used up nobody reads: the files are the queue. Each
// entry takes from its own BudgetShare, which is always granted a minimum, so one noisy entry
// cannot starve the others. Any thread; a mutex guards a few integers, taken once per buffer, never
// per line.
#pragma once

#include "store/base/thread.h"

#include <cstddef>
#include <memory>
#include <utility>

namespace logagent {

class Budget {
 public:
  // `share_min` is granted to each share whatever the others use; total use is bounded by `limit`
  // plus share_min per share.
  Budget(size_t limit, size_t share_min) : limit_(limit), share_min_(share_min) {}

  size_t limit() const { return limit_; }
  size_t used() const;

 private:
  friend class BudgetShare;

  const size_t limit_;
  const size_t share_min_;
  mutable store::Mutex mutex_;
  size_t used_ ABSL_GUARDED_BY(mutex_) = 0;
};

class BudgetShare {
 public:
  explicit BudgetShare(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  // False when the bytes are not to be had now; nothing is taken then.
  bool TryTake(size_t bytes);
  // For small overheads that are known only after the fact; may exceed the limit.
  void Take(size_t bytes);
  void Return(size_t bytes);
  size_t used() const;

 private:
  std::shared_ptr<Budget> budget_;
  size_t used_ = 0;  // guarded by the budget's mutex
};
using BudgetSharePtr = std::shared_ptr<BudgetShare>;

}  // namespace logagent
