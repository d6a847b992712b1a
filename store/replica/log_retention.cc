// SPDX-License-Identifier: Apache-2.0
#include "store/replica/log_retention.h"

#include <algorithm>

namespace store::replica {
namespace {

constexpr uint64_t kMarkDistance = 64;  // entries between two marks

}  // namespace

void LogRetention::OnApplied(raft::Index applied, size_t bytes) {
  bytes_total_ += bytes;
  if (marks_.empty() || applied - marks_.back().index >= kMarkDistance) {
    marks_.push_back({applied, bytes_total_});
  }
}

void LogRetention::Reset() {
  marks_.clear();
  bytes_total_ = 0;
}

uint64_t LogRetention::BytesBehind(raft::Index index) const {
  uint64_t before = marks_.empty() ? bytes_total_ : marks_.front().bytes_before;
  for (const Mark& mark : marks_) {
    if (mark.index > index) break;
    before = mark.bytes_before;
  }
  return bytes_total_ - before;
}

std::optional<raft::Index> LogRetention::Decide(raft::Index durable, raft::Index truncated,
                                                std::optional<raft::Index> kept) {
  raft::Index through =
      durable.value() > limits_.entries ? durable - limits_.entries : raft::Index(0);
  // Fewer entries than that stay when they are large.
  for (const Mark& mark : marks_) {
    if (mark.index > durable || bytes_total_ - mark.bytes_before <= limits_.bytes) break;
    through = std::max(through, mark.index);
  }
  if (kept && BytesBehind(*kept) <= limits_.snapshot_bytes) through = std::min(through, *kept);
  bool worth = through > truncated && through - truncated >= limits_.step_entries;
  bool large = through > truncated && !marks_.empty() &&
               bytes_total_ - marks_.front().bytes_before > limits_.bytes;
  if (!worth && !large) return std::nullopt;
  while (!marks_.empty() && marks_.front().index <= through) marks_.pop_front();
  return through;
}

}  // namespace store::replica
