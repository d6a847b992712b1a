// SPDX-License-Identifier: Apache-2.0
// TimerHeap: the timers of one event loop. A binary heap of (due, order of creation) whose entries
// know their place, so that a cancelled timer leaves at once: each unary call sets and cancels a
// deadline, and a heap that only marks the dead would keep seconds' worth of them. Owned and used
// by one thread; bounded by the live timers of its users.
#pragma once

#include "store/base/clock.h"
#include "store/base/executor.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace store::rpc {

class TimerHeap {
 public:
  using TimerId = Executor::TimerId;

  TimerId Add(TimePoint due, Action action);
  // False if it ran or was cancelled before.
  bool Cancel(TimerId id);
  // When the first one is due.
  std::optional<TimePoint> NextDue() const;
  // The first action due at `now`, taken out; empty when there is none.
  Action PopDue(TimePoint now);
  size_t size() const { return heap_.size(); }
  void Clear();

 private:
  struct Entry {
    TimePoint due;
    uint64_t order;
    uint32_t slot;
    bool Before(const Entry& other) const {
      return due != other.due ? due < other.due : order < other.order;
    }
  };
  // An id is (times the slot was used << 32 | slot), so an old id never names a new timer.
  struct Slot {
    Action action;
    uint32_t uses = 0;
    uint32_t position = 0;
  };

  void Put(size_t position, const Entry& entry);
  void SiftUp(size_t position);
  void SiftDown(size_t position);
  Action Remove(size_t position);

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint64_t next_order_ = 0;
};

}  // namespace store::rpc
