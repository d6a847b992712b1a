// SPDX-License-Identifier: Apache-2.0
// Timing: a histogram of seconds with the clock to fill it: began = timing.Begin(); ...;
// timing.End(began). A default one measures nothing and costs a branch, so parts that can be
// measured take one by value and tests leave it out. Clock and histogram outlive it. Any thread.
#pragma once

#include "store/base/clock.h"
#include "store/base/metrics.h"

#include <chrono>

namespace store {

class Timing {
 public:
  Timing() = default;
  Timing(const Clock& clock, Histogram& histogram) : clock_(&clock), histogram_(&histogram) {}

  TimePoint Begin() const { return clock_ != nullptr ? clock_->Now() : TimePoint{}; }
  void End(TimePoint began) const {
    if (clock_ == nullptr) return;
    histogram_->Observe(std::chrono::duration<double>(clock_->Now() - began).count());
  }

 private:
  const Clock* clock_ = nullptr;
  Histogram* histogram_ = nullptr;
};

}  // namespace store
