// SPDX-License-Identifier: Apache-2.0
// How long a write stays in each stage, so that a profile of a put can be read off /metrics:
//
//   admit    from the loop's first command of a bundle until the replica's mailbox has it
//   propose  until the replica has given the bundle to raft
//   persist  from the hand-over to the log writer until the fsync has returned
//   apply    from the hand-over of committed entries until the replica hears that they are applied
//   respond  from apply's results until the loop has queued the answers
//
// Each is observed once for a bundle, unit or batch, never for a command. Made once; copied to who
// measures. InFlight: what is under way in one stage, in order; one thread, bounded by what raft
// has handed out.
#pragma once

#include "store/base/timing.h"

#include <cstdint>
#include <deque>

namespace store::replica {

struct StageTimes {
  Timing admit;
  Timing propose;
  Timing persist;
  Timing apply;
  Timing respond;
};

StageTimes MakeStageTimes(Registry& registry, const Clock& clock);

class InFlight {
 public:
  void Begin(uint64_t number, const Timing& timing) { open_.push_back({number, timing.Begin()}); }
  void EndThrough(uint64_t number, const Timing& timing) {
    while (!open_.empty() && open_.front().number <= number) {
      timing.End(open_.front().began);
      open_.pop_front();
    }
  }

 private:
  struct One {
    uint64_t number;
    TimePoint began;
  };
  std::deque<One> open_;
};

}  // namespace store::replica
