// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/budget.h"

#include "store/base/check.h"

namespace logagent {

size_t Budget::used() const {
  store::MutexLock lock(mutex_);
  return used_;
}

bool BudgetShare::TryTake(size_t bytes) {
  store::MutexLock lock(budget_->mutex_);
  bool within_minimum = used_ + bytes <= budget_->share_min_;
  // A share that holds nothing is always served, or a buffer larger than the minimum could wait for
  // ever.
  if (!within_minimum && used_ != 0 && budget_->used_ + bytes > budget_->limit_) {
    return false;
  }
  used_ += bytes;
  budget_->used_ += bytes;
  return true;
}

void BudgetShare::Take(size_t bytes) {
  store::MutexLock lock(budget_->mutex_);
  used_ += bytes;
  budget_->used_ += bytes;
}

void BudgetShare::Return(size_t bytes) {
  store::MutexLock lock(budget_->mutex_);
  CHECK(used_ >= bytes, "share {} returns {}", used_, bytes);
  used_ -= bytes;
  budget_->used_ -= bytes;
}

size_t BudgetShare::used() const {
  store::MutexLock lock(budget_->mutex_);
  return used_;
}

}  // namespace logagent
