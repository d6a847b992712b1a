// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/ack_tracker.h"

#include "store/base/check.h"

#include <iterator>

namespace logagent {

RangeId AckTracker::Begin(uint64_t end) {
  CHECK(end >= high_water_, "range ends at {} before {}", end, high_water_);
  RangeId range = next_;
  next_ = next_ + 1;
  ranges_.emplace_hint(ranges_.end(), range, Range{end, State::kWaiting});
  high_water_ = end;
  ++unanswered_;
  return range;
}

AckTracker::Range* AckTracker::Find(RangeId range) {
  auto found = ranges_.find(range);
  bool waits = found != ranges_.end() && found->second.state == State::kWaiting;
  return waits ? &found->second : nullptr;
}

std::optional<uint64_t> AckTracker::Ack(RangeId range) {
  Range* found = Find(range);
  if (found == nullptr) {
    return std::nullopt;
  }
  found->state = State::kAcked;
  --unanswered_;
  uint64_t before = low_water_;
  while (!ranges_.empty() && ranges_.begin()->second.state == State::kAcked) {
    low_water_ = ranges_.begin()->second.end;
    ranges_.erase(ranges_.begin());
  }
  CHECK(low_water_ <= high_water_);
  return low_water_ == before ? std::nullopt : std::optional(low_water_);
}

uint64_t AckTracker::Reject(RangeId range) {
  Range* found = Find(range);
  if (found == nullptr) {
    return 0;
  }
  found->state = State::kRejected;
  --unanswered_;
  rejected_ = true;
  auto at = ranges_.find(range);
  return found->end - (at == ranges_.begin() ? low_water_ : std::prev(at)->second.end);
}

void AckTracker::Reset(uint64_t offset) {
  ranges_.clear();
  low_water_ = offset;
  high_water_ = offset;
  unanswered_ = 0;
  rejected_ = false;
}

}  // namespace logagent
