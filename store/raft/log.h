// SPDX-License-Identifier: Apache-2.0
// RaftLog: what one member knows of its log. The terms of the whole log as a few runs, the newest
// entries themselves in a window, and the cursors: truncated <= applied <= handed <= commit, and
// stable (durable here) <= emitted (given to the log store) <= last. It also keeps the persist
// units that are on their way, because only they can say what is durable after a conflict rewrote
// the tail. Owned by a Raft, single-threaded. Memory: entries not applied or not durable always
// stay in the window; the others leave by DropWindow, so the owner bounds them with
// window_bytes_max.
#pragma once

#include "store/raft/config.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace store::raft {

// What an entry costs wherever bytes are limited: its data and a flat share for the rest of it.
inline constexpr size_t kEntryOverheadBytes = 64;
inline size_t EntryBytes(const Entry& entry) { return entry.data.size() + kEntryOverheadBytes; }

class RaftLog {
 public:
  explicit RaftLog(Restart restart);

  Index truncated() const { return truncated_; }
  Index first() const { return truncated_ + 1; }
  Index last() const { return last_; }
  Term last_term() const { return *TermAt(last_); }
  Index stable() const { return stable_; }
  Index commit() const { return commit_; }
  Index applied() const { return applied_; }
  Index handed() const { return handed_; }
  Index window_first() const { return last_ + 1 - window_.size(); }
  size_t window_bytes() const { return window_bytes_; }
  // Of what is not committed, or committed by others and not durable here: nobody else can let it
  // go.
  size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  uint64_t units_in_flight() const { return units_.size(); }

  // Term of an entry; nullopt behind the end or before `truncated`.
  std::optional<Term> TermAt(Index index) const;
  // True if a log that ends in (last, term) is at least as complete as this one (thesis 3.6.1).
  bool UpToDate(Index last, Term term) const;
  // Greatest index <= `from` whose term is <= `term`, not before `truncated` (hints, see
  // AppendReply).
  Index LastWithTermAtMost(Index from, Term term) const;
  const EntryPtr& At(Index index) const;  // must be in the window
  // Entries [from, to] of the window, cut at bytes_max but at least one.
  std::vector<EntryPtr> Slice(Index from, Index to, size_t bytes_max) const;
  // A conf change among (applied, commit]?
  bool HasUnappliedConfChange() const {
    return !conf_changes_.empty() && conf_changes_.front() <= commit_;
  }

  // Appends an entry with index last + 1.
  void Append(EntryPtr entry);
  // Drops everything >= from, which must not be committed. What was durable of it no longer counts.
  void TruncateSuffix(Index from);
  // Raises the commit index; never lowers it. `index` <= last.
  void CommitTo(Index index);
  // Entries that may be applied now: committed, durable, and within `bytes_max` of what is handed
  // out and not yet reported (one passes alone).
  std::vector<EntryPtr> HandOut(size_t bytes_max);
  bool CanHandOut(size_t bytes_max) const;
  void AppliedTo(Index index);
  // Prefix: at most applied and stable.
  void TruncatePrefix(Index through);
  // The log becomes empty behind (index, term): a snapshot took its place.
  void Reset(Index index, Term term);
  // Entries <= through leave the window if applied and durable; then the oldest such, while the
  // window is above bytes_max.
  void DropWindow(Index through, size_t bytes_max);

  // What the next persist unit must write.
  bool HasUnemitted() const { return emitted_ < last_ || truncate_from_.has_value(); }
  std::optional<Index> TakeTruncateFrom();
  std::vector<EntryPtr> TakeUnemitted();
  // After both Takes: unit `id` leaves.
  void Emitted(uint64_t id, std::optional<Index> truncate_from);
  // Units up to `id` are durable.
  void Persisted(uint64_t id);

 private:
  struct Unit {
    uint64_t id = 0;
    Index last;  // of the log once this unit is written
    std::optional<Index> truncate_from;
  };

  size_t WindowOffset(Index index) const;
  void PopWindowFront();
  void CountSettled();

  Index truncated_;
  Term truncated_term_;
  std::vector<TermRun> runs_;    // of (truncated_, last_], ascending, never empty unless the log is
  std::deque<EntryPtr> window_;  // contiguous, ends at last_, covers everything > applied_
  size_t window_bytes_ = 0;
  std::deque<Index> conf_changes_;  // entries of that kind > applied_
  Index last_;
  Index emitted_;
  Index stable_;
  Index commit_;
  Index handed_;
  Index applied_;
  size_t handed_bytes_ = 0;             // of (applied_, handed_]
  Index settled_;                       // min(commit_, stable_), never lowered
  size_t uncommitted_bytes_ = 0;        // of (settled_, last_]
  std::optional<Index> truncate_from_;  // of the unit not yet emitted
  std::deque<Unit> units_;              // emitted, not durable; ids ascending
};

}  // namespace store::raft
