// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/ack_tracker.h"

#include "store/base/check.h"

namespace logagent {

RangeId AckTracker::Begin(uint64_t end) {
  CHECK(end >= high_water_, "range ends at {} before {}", end, high_water_);
  ranges_.push_back({end, State::kWaiting});
  high_water_ = end;
  ++unanswered_;
  return first_ + (ranges_.size() - 1);
}

AckTracker::Range* AckTracker::Find(RangeId range) {
  if (range < first_ || range - first_ >= ranges_.size()) {
    return nullptr;
  }
  Range& found = ranges_[range - first_];
  return found.state == State::kWaiting ? &found : nullptr;
}

std::optional<uint64_t> AckTracker::Ack(RangeId range) {
  Range* found = Find(range);
  if (found == nullptr) {
    return std::nullopt;
  }
  found->state = State::kAcked;
  --unanswered_;
  uint64_t before = low_water_;
  while (!ranges_.empty() && ranges_.front().state == State::kAcked) {
    low_water_ = ranges_.front().end;
    ranges_.pop_front();
    ++first_;
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
  return found->end - (range == first_ ? low_water_ : ranges_[range - first_ - 1].end);
}

void AckTracker::Reset(uint64_t offset) {
  first_ = first_ + ranges_.size();
  ranges_.clear();
  low_water_ = offset;
  high_water_ = offset;
  unanswered_ = 0;
  rejected_ = false;
}

}  // namespace logagent
