// SPDX-License-Identifier: Apache-2.0
// LogStore: the raft log and hard state on disk. WalLogStore writes segments of its own format;
// MemLogStore loses its unsynced tail on Crash. Any error of Append or TruncatePrefix is fatal and
// never retried: what the disk holds after a failed fsync is unknown. The exceptions: Append waits
// out a full disk, and says kStopped when it must not wait any longer. Threads: Load once, before
// anything else; Append from one thread (the log writer); Read and TruncatePrefix from any one
// other thread at the same time.
#pragma once

#include "store/base/error.h"
#include "store/raft/output.h"
#include "store/raft/types.h"

#include <cstddef>
#include <span>
#include <vector>

namespace store::wal {

struct LogImage {
  raft::HardState hard_state;
  raft::Index truncated;  // the log starts behind it
  raft::Term truncated_term;
  raft::ConfState conf;                 // of the newest reset, for offline inspection
  std::vector<raft::TermRun> runs;      // of (truncated, last]
  std::vector<raft::EntryPtr> entries;  // (truncated, last], contiguous
};

class LogStore {
 public:
  virtual Result<LogImage> Load() = 0;
  // One group: all units in order, one fsync at the end if any unit asks for it. When it returns,
  // every unit with must_sync is durable.
  virtual Status Append(std::span<const raft::PersistUnit* const> group) = 0;
  // Entries [from, to], cut at bytes_max but at least one. Empty when `from` is already truncated.
  virtual Result<std::vector<raft::EntryPtr>> Read(raft::Index from, raft::Index to,
                                                   size_t bytes_max) const = 0;
  // Forgets entries <= through, whose last term is `term`. Space is released by whole segments.
  virtual Status TruncatePrefix(raft::Index through, raft::Term term) = 0;
  virtual ~LogStore() = default;
};

}  // namespace store::wal
