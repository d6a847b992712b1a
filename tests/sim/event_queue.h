// SPDX-License-Identifier: Apache-2.0
// EventQueue: virtual time. Events run one at a time, by time and then by the order in which they
// were made, so a run is a function of its seed. Times are microseconds. One thread.
#pragma once

#include <absl/functional/any_invocable.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace store::sim {

using Time = int64_t;
inline constexpr Time kMillisecond = 1000;
inline constexpr Time kSecond = 1000 * kMillisecond;

class EventQueue {
 public:
  using Event = absl::AnyInvocable<void()>;

  Time now() const { return now_; }
  uint64_t ran() const { return ran_; }

  void At(Time time, Event event) {
    heap_.push_back({std::max(time, now_), made_++, std::move(event)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void After(Time delay, Event event) { At(now_ + delay, std::move(event)); }

  // Runs the next event if it is due at or before `end`; else moves the clock there.
  bool RunNext(Time end) {
    if (heap_.empty() || heap_.front().time > end) {
      now_ = end;
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Item item = std::move(heap_.back());
    heap_.pop_back();
    now_ = item.time;
    ++ran_;
    item.event();
    return true;
  }

 private:
  struct Item {
    Time time;
    uint64_t made;
    Event event;
  };
  static bool Later(const Item& a, const Item& b) {
    return std::pair(a.time, a.made) > std::pair(b.time, b.made);
  }

  std::vector<Item> heap_;
  Time now_ = 0;
  uint64_t made_ = 0;
  uint64_t ran_ = 0;
};

}  // namespace store::sim
