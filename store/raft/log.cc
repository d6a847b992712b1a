// SPDX-License-Identifier: Apache-2.0
#include "store/raft/log.h"

#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace store::raft {

RaftLog::RaftLog(Restart restart)
    : truncated_(restart.truncated),
      truncated_term_(restart.truncated_term),
      runs_(std::move(restart.runs)),
      applied_(restart.applied) {
  CHECK(truncated_ <= applied_, "truncated {} applied {}", truncated_, applied_);
  last_ = truncated_;
  if (!restart.tail.empty()) {
    last_ = restart.tail.back()->index;
  } else if (!runs_.empty()) {
    last_ = applied_;  // the log ends where the state ends; no entry is needed in memory
  }
  CHECK(runs_.empty() == (last_ == truncated_), "{} runs up to {}", runs_.size(), last_);
  CHECK(runs_.empty() || runs_.front().first == truncated_ + 1);
  Index expected = last_ + 1 - restart.tail.size();
  for (EntryPtr& entry : restart.tail) {
    CHECK(entry->index == expected, "tail has {} where {} belongs", entry->index, expected);
    ++expected;
    CHECK(TermAt(entry->index) == entry->term, "entry {} has another term", entry->index);
    window_bytes_ += EntryBytes(*entry);
    if (entry->kind == EntryKind::kConfChange && entry->index > applied_) {
      conf_changes_.push_back(entry->index);
    }
    window_.push_back(std::move(entry));
  }
  CHECK(applied_ <= last_, "applied {} last {}", applied_, last_);
  CHECK(window_first() <= applied_ + 1, "window from {}, applied {}", window_first(), applied_);
  // The commit index is not synced; whatever was applied had been committed (etcd #10217). It may
  // also be ahead of a tail that was never durable here.
  commit_ = std::min(last_, std::max(restart.hard_state.commit, applied_));
  emitted_ = stable_ = last_;
  handed_ = applied_;
  settled_ = commit_;
  for (Index i = settled_ + 1; i <= last_; ++i) uncommitted_bytes_ += EntryBytes(*At(i));
}

std::optional<Term> RaftLog::TermAt(Index index) const {
  if (index == truncated_) return truncated_term_;
  if (index < truncated_ || index > last_) return std::nullopt;
  auto behind = std::upper_bound(runs_.begin(), runs_.end(), index,
                                 [](Index i, const TermRun& run) { return i < run.first; });
  CHECK(behind != runs_.begin(), "no run holds {}", index);
  return std::prev(behind)->term;
}

bool RaftLog::UpToDate(Index last, Term term) const {
  Term own = last_term();
  return term > own || (term == own && last >= last_);
}

Index RaftLog::LastWithTermAtMost(Index from, Term term) const {
  Index index = std::min(from, last_);
  if (index <= truncated_) return index;
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (run->first > index) continue;
    if (run->term <= term) return index;
    index = run->first - 1;
  }
  return truncated_;
}

size_t RaftLog::WindowOffset(Index index) const {
  CHECK(index >= window_first() && index <= last_, "{} outside of [{}, {}]", index, window_first(),
        last_);
  return static_cast<size_t>(index - window_first());
}

const EntryPtr& RaftLog::At(Index index) const { return window_[WindowOffset(index)]; }

std::vector<EntryPtr> RaftLog::Slice(Index from, Index to, size_t bytes_max) const {
  std::vector<EntryPtr> entries;
  size_t bytes = 0;
  for (Index i = from; i <= to; ++i) {
    const EntryPtr& entry = At(i);
    bytes += EntryBytes(*entry);
    if (bytes > bytes_max && !entries.empty()) break;
    entries.push_back(entry);
  }
  return entries;
}

void RaftLog::Append(EntryPtr entry) {
  CHECK(entry->index == last_ + 1, "append {} behind {}", entry->index, last_);
  CHECK(entry->term >= last_term(), "term {} behind {}", entry->term, last_term());
  if (runs_.empty() || runs_.back().term != entry->term) {
    runs_.push_back({entry->index, entry->term});
  }
  ++last_;
  size_t bytes = EntryBytes(*entry);
  window_bytes_ += bytes;
  uncommitted_bytes_ += bytes;
  if (entry->kind == EntryKind::kConfChange) conf_changes_.push_back(entry->index);
  window_.push_back(std::move(entry));
}

void RaftLog::TruncateSuffix(Index from) {
  CHECK(from > commit_, "truncating committed entries: from {}, commit {}", from, commit_);
  CHECK(from <= last_);
  while (last_ >= from) {
    size_t bytes = EntryBytes(*window_.back());
    window_bytes_ -= bytes;
    uncommitted_bytes_ -= bytes;
    window_.pop_back();
    last_ = last_ - 1;
  }
  while (!runs_.empty() && runs_.back().first >= from) runs_.pop_back();
  while (!conf_changes_.empty() && conf_changes_.back() >= from) conf_changes_.pop_back();
  if (emitted_ >= from) {
    truncate_from_ = std::min(truncate_from_.value_or(from), from);
    emitted_ = from - 1;
  }
  // The replaced entries may be durable, but not as part of this log: their acknowledgement must
  // not count for the new ones at the same index.
  stable_ = std::min(stable_, from - 1);
}

void RaftLog::CommitTo(Index index) {
  CHECK(index <= last_, "commit {} behind the last entry {}", index, last_);
  commit_ = std::max(commit_, index);
  CountSettled();
}

// Whatever leaves the window was applied, so it was settled before.
void RaftLog::CountSettled() {
  while (settled_ < std::min(commit_, stable_)) {
    ++settled_;
    uncommitted_bytes_ -= EntryBytes(*At(settled_));
  }
}

bool RaftLog::CanHandOut(size_t bytes_max) const {
  if (handed_ >= std::min(commit_, stable_)) return false;
  return handed_ == applied_ || handed_bytes_ + EntryBytes(*At(handed_ + 1)) <= bytes_max;
}

std::vector<EntryPtr> RaftLog::HandOut(size_t bytes_max) {
  std::vector<EntryPtr> entries;
  while (CanHandOut(bytes_max)) {
    ++handed_;
    handed_bytes_ += EntryBytes(*At(handed_));
    entries.push_back(At(handed_));
  }
  return entries;
}

void RaftLog::AppliedTo(Index index) {
  CHECK(index >= applied_ && index <= handed_, "applied {} outside of [{}, {}]", index, applied_,
        handed_);
  while (applied_ < index) {
    ++applied_;
    handed_bytes_ -= EntryBytes(*At(applied_));
  }
  while (!conf_changes_.empty() && conf_changes_.front() <= applied_) conf_changes_.pop_front();
}

void RaftLog::TruncatePrefix(Index through) {
  if (through <= truncated_) return;
  CHECK(through <= applied_ && through <= stable_, "truncate {} applied {} stable {}", through,
        applied_, stable_);
  truncated_term_ = *TermAt(through);
  truncated_ = through;
  while (runs_.size() > 1 && runs_[1].first <= through + 1) runs_.erase(runs_.begin());
  if (last_ == through) {
    runs_.clear();
  } else {
    runs_.front().first = through + 1;
  }
  while (!window_.empty() && window_first() <= through) PopWindowFront();
}

void RaftLog::Reset(Index index, Term term) {
  CHECK(index >= commit_, "snapshot {} behind commit {}", index, commit_);
  truncated_ = last_ = emitted_ = stable_ = commit_ = settled_ = handed_ = applied_ = index;
  truncated_term_ = term;
  runs_.clear();
  window_.clear();
  conf_changes_.clear();
  window_bytes_ = handed_bytes_ = uncommitted_bytes_ = 0;
  truncate_from_.reset();
  // Units still in flight wrote a log that no longer exists; they cannot move the stable index.
  for (Unit& unit : units_) unit = {unit.id, index, std::nullopt};
}

void RaftLog::PopWindowFront() {
  window_bytes_ -= EntryBytes(*window_.front());
  window_.pop_front();
}

void RaftLog::DropWindow(Index through, size_t bytes_max) {
  Index limit = std::min(applied_, stable_);
  while (!window_.empty() && window_first() <= limit &&
         (window_first() <= through || window_bytes_ > bytes_max)) {
    PopWindowFront();
  }
}

std::optional<Index> RaftLog::TakeTruncateFrom() { return std::exchange(truncate_from_, {}); }

std::vector<EntryPtr> RaftLog::TakeUnemitted() {
  std::vector<EntryPtr> entries;
  entries.reserve(static_cast<size_t>(last_ - emitted_));
  while (emitted_ < last_) {
    ++emitted_;
    entries.push_back(At(emitted_));
  }
  return entries;
}

void RaftLog::Emitted(uint64_t id, std::optional<Index> truncate_from) {
  CHECK(emitted_ == last_ && !truncate_from_);
  CHECK(units_.empty() || units_.back().id < id);
  units_.push_back({id, last_, truncate_from});
}

void RaftLog::Persisted(uint64_t id) {
  Index durable = stable_;
  while (!units_.empty() && units_.front().id <= id) {
    durable = units_.front().last;
    units_.pop_front();
  }
  // A later unit, or the one not yet emitted, replaces entries from its truncate_from on: an older
  // acknowledgement says nothing about those (the ABA of etcd's asynchronous writes).
  for (const Unit& unit : units_) {
    if (unit.truncate_from) durable = std::min(durable, *unit.truncate_from - 1);
  }
  if (truncate_from_) durable = std::min(durable, *truncate_from_ - 1);
  stable_ = std::max(stable_, durable);
  CHECK(stable_ <= emitted_, "stable {} emitted {}", stable_, emitted_);
  CountSettled();
}

}  // namespace store::raft
