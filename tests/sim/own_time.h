// SPDX-License-Identifier: Apache-2.0
// What a member's clock is wrong by. OwnTime: how much time has passed by a clock whose rate
// against virtual time is not 1 and may change; never backwards. ClockOptions: how far rates may be
// apart. Values.
#pragma once

#include "store/base/random.h"
#include "tests/sim/draw.h"
#include "tests/sim/event_queue.h"

#include <algorithm>
#include <cmath>

namespace store::sim {

struct ClockOptions {
  double drift_max = 0;   // rates are 1 and at most this more or less
  Time change_every = 0;  // a clock gets another rate
  // Above 1: such a change, and only that, goes as far as `wild` times as fast or as slow. Nobody
  // promises reads by lease under such clocks; all else must hold.
  double wild = 1;

  void DrawChanges(Random random) {
    change_every = Sometimes(random, 0.4, kSecond / 5, 5 * kSecond);
    wild = random.Chance(0.3) && change_every > 0 ? OneOf<double, 2>(random, {1.5, 5}) : 1;
  }
  double Fastest() const { return std::max(1 + drift_max, wild); }
  double Usual(Random& random) const { return 1 + (2 * random.Unit() - 1) * drift_max; }
  double Changed(Random& random) const {
    return wild > 1 ? std::pow(wild, 2 * random.Unit() - 1) : Usual(random);
  }
};

class OwnTime {
 public:
  explicit OwnTime(double rate = 1) : rate_(rate) {}

  Time At(Time now) const {
    return passed_ + static_cast<Time>(static_cast<double>(now - since_) * rate_);
  }
  double rate() const { return rate_; }
  void SetRate(Time now, double rate) {
    passed_ = At(now);
    since_ = now;
    rate_ = rate;
  }
  // Of virtual time until `own` has passed, if the rate stays what it is.
  Time VirtualFor(Time own) const {
    return static_cast<Time>(static_cast<double>(own) / rate_) + 1;
  }

 private:
  double rate_;
  Time since_ = 0;   // of this rate, in virtual time
  Time passed_ = 0;  // by then
};

}  // namespace store::sim
