// SPDX-License-Identifier: Apache-2.0
#include "store/wal/index_table.h"

#include "store/base/check.h"

#include <algorithm>

namespace store::wal {

raft::Term IndexTable::TermAt(raft::Index index) const {
  CHECK(index >= truncated_.index && index <= last_, "{} outside of [{}, {}]", index,
        truncated_.index, last_);
  if (index == truncated_.index) return truncated_.term;
  auto behind =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](raft::Index i, const raft::TermRun& run) { return i < run.first; });
  CHECK(behind != runs_.begin());
  return std::prev(behind)->term;
}

void IndexTable::Reset(const LogPoint& point) {
  truncated_ = point;
  last_ = point.index;
  runs_.clear();
  extents_.clear();
  cut_ = true;
}

void IndexTable::TruncateSuffix(const SuffixMark& mark) {
  // On replay the mark may reach back behind the first segment that is still there: what it
  // replaces stood in released ones.
  if (mark.from <= truncated_.index) return Reset({mark.from - 1, mark.term_before});
  if (mark.from > last_) return;
  last_ = mark.from - 1;
  while (!runs_.empty() && runs_.back().first > last_) runs_.pop_back();
  while (!extents_.empty() && extents_.back().first > last_) extents_.pop_back();
  cut_ = true;
}

void IndexTable::Add(raft::Term term, const Position& position) {
  ++last_;
  if (runs_.empty() || runs_.back().term != term) runs_.push_back({last_, term});
  bool fresh = cut_ || extents_.empty() || extents_.back().position.sequence != position.sequence ||
               last_ - extents_.back().first >= kExtentEntries;
  if (fresh) extents_.push_back({last_, position});
  cut_ = false;
}

void IndexTable::TruncatePrefix(const LogPoint& point) {
  if (point.index <= truncated_.index) return;
  if (point.index >= last_) return Reset(point);
  truncated_ = point;
  while (runs_.size() > 1 && runs_[1].first <= point.index + 1) runs_.erase(runs_.begin());
  runs_.front().first = std::max(runs_.front().first, point.index + 1);
  // The extent that holds the first live entry stays.
  auto first_live =
      std::upper_bound(extents_.begin(), extents_.end(), point.index + 1,
                       [](raft::Index i, const Extent& extent) { return i < extent.first; });
  if (first_live != extents_.begin()) extents_.erase(extents_.begin(), std::prev(first_live));
}

std::vector<IndexTable::Extent> IndexTable::Find(raft::Index from, raft::Index to) const {
  CHECK(from > truncated_.index && to <= last_ && from <= to);
  auto at = std::upper_bound(extents_.begin(), extents_.end(), from,
                             [](raft::Index i, const Extent& extent) { return i < extent.first; });
  CHECK(at != extents_.begin(), "no extent holds {}", from);
  std::vector<Extent> found;
  for (at = std::prev(at); at != extents_.end() && at->first <= to; ++at) found.push_back(*at);
  return found;
}

}  // namespace store::wal
