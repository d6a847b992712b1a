// SPDX-License-Identifier: Apache-2.0
// AckTracker: which bytes of one file are acknowledged. Ranges begin in file order and are answered
// in any order; the low-water mark is the end of the longest acknowledged prefix, and the only
// offset a checkpoint may name: it never passes a byte the broker has not taken. Owned by one shard
// task, its thread only. Bounded by the ranges in flight, which the budget bounds.
#pragma once

#include "logagent/deliver/sink.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace logagent {

class AckTracker {
 public:
  // A series is used for one tracker: so ids of two never meet, and tell whose they are.
  AckTracker(uint64_t start, uint64_t series)
      : next_(series << kSeriesShift), low_water_(start), high_water_(start) {}

  static uint64_t SeriesOf(RangeId range) { return range.value() >> kSeriesShift; }
  uint64_t series() const { return SeriesOf(next_); }

  // What Begin will return next.
  RangeId NextRange() const { return next_; }
  // The next range, [high water, end).
  RangeId Begin(uint64_t end);
  // New low-water mark, if it moved. Unknown ranges (answered before a Reset) are ignored.
  std::optional<uint64_t> Ack(RangeId range);
  // The range will never be acknowledged: after it the mark stays where it is until Reset. Returns
  // its bytes; 0 if it is unknown.
  uint64_t Reject(RangeId range);
  // Forgets what is in flight: the next range begins at `offset`.
  void Reset(uint64_t offset);

  uint64_t low_water() const { return low_water_; }
  uint64_t high_water() const { return high_water_; }
  uint64_t in_flight_bytes() const { return high_water_ - low_water_; }
  // Ranges that have not been answered yet.
  size_t unanswered() const { return unanswered_; }
  bool rejected() const { return rejected_; }

 private:
  static constexpr int kSeriesShift = 40;
  enum class State : uint8_t { kWaiting, kAcked, kRejected };
  struct Range {
    uint64_t end = 0;
    State state = State::kWaiting;
  };

  Range* Find(RangeId range);

  // File order; the first is not acknowledged. A map, for an empty deque holds half a kilobyte, and
  // there are ten thousand trackers of idle files.
  std::map<RangeId, Range> ranges_;
  RangeId next_;        // ids grow by one and are never reused
  uint64_t low_water_;  // <= high_water_
  uint64_t high_water_;
  size_t unanswered_ = 0;
  bool rejected_ = false;
};

}  // namespace logagent
