// SPDX-License-Identifier: Apache-2.0
// Budget: how often something cheap for the peer and dear for us may happen: a token bucket. One
// thread.
#pragma once

#include "store/base/clock.h"
#include "store/rpc/limits.h"

#include <algorithm>
#include <chrono>

namespace store::rpc {

class Budget {
 public:
  explicit Budget(Rate rate) : rate_(rate), tokens_(rate.burst) {}

  // False: one too many.
  bool Take(TimePoint now) {
    if (now > filled_) {
      double seconds = std::chrono::duration<double>(now - filled_).count();
      tokens_ = std::min(rate_.burst, tokens_ + seconds * rate_.per_second);
      filled_ = now;
    }
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  Rate rate_;
  double tokens_;
  TimePoint filled_{};
};

}  // namespace store::rpc
