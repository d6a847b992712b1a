// SPDX-License-Identifier: Apache-2.0
// IndexTable: the shape of the log on disk: where it starts, the terms of its entries as runs, and
// where entries stand in the segments. An extent is a stretch of consecutive live entries that also
// stand one behind the other in one segment, at most kExtentEntries long, so an entry is found by
// reading at most that many records. Not thread-safe: its owner locks. Memory: about 24 bytes for
// 64 entries.
#pragma once

#include "store/raft/types.h"
#include "store/wal/record.h"

#include <cstddef>
#include <vector>

namespace store::wal {

class IndexTable {
 public:
  static constexpr uint64_t kExtentEntries = 64;

  struct Extent {
    raft::Index first;
    Position position;
  };

  LogPoint truncated() const { return truncated_; }
  const std::vector<raft::TermRun>& runs() const { return runs_; }
  raft::Index last() const { return last_; }
  LogPoint end() const { return {last_, TermAt(last_)}; }
  // Of an entry in [truncated, last].
  raft::Term TermAt(raft::Index index) const;

  // The log becomes empty behind `point`.
  void Reset(const LogPoint& point);
  void TruncateSuffix(const SuffixMark& mark);
  // Entry last + 1.
  void Add(raft::Term term, const Position& position);
  void TruncatePrefix(const LogPoint& point);

  // The extents that hold [from, to], in order.
  std::vector<Extent> Find(raft::Index from, raft::Index to) const;

 private:
  LogPoint truncated_;
  std::vector<raft::TermRun> runs_;  // of (truncated_, last_]
  raft::Index last_;
  std::vector<Extent> extents_;  // ascending, each up to the next one's first
  bool cut_ = false;             // the next entry does not stand behind the last one
};

}  // namespace store::wal
