// SPDX-License-Identifier: Apache-2.0
// Recover: reads a log directory and says what it holds, without changing a byte.
//
// The newest segment with a valid header names its predecessor and that one's valid end, and so on
// back to the oldest that is still there. All but the newest were synced to their ends, so every
// record in them must be valid. In the newest one, the first bad record is the end of the log if it
// lies at or above the highest sync mark found anywhere in the segment (a torn tail, never
// acknowledged), and damage if it lies below. Records above that mark may be known to the page
// cache only: they come back as `tail`, for the caller to write anew. Once, before anything else;
// one thread.
#pragma once

#include "store/base/error.h"
#include "store/wal/log_state.h"
#include "store/wal/record.h"
#include "store/wal/segment.h"
#include "store/wal/wal_file.h"

#include <string>
#include <vector>

namespace store::wal {

struct Recovered {
  LogState state;                       // up to the last synced place
  std::vector<raft::EntryPtr> entries;  // of `state`
  std::vector<Segment> chain;           // oldest first, all to be kept
  Position end;                         // where `state` ends: the next segment's predecessor
  std::vector<Change> tail;             // valid changes behind it
  std::vector<std::string> unused;      // files that hold nothing of the log
  uint64_t next_sequence = 1;           // above every name
};

Result<Recovered> Recover(WalFileSystem& files, const std::string& directory,
                          const Identity& identity);

// Whose log this is; nullopt if there is none yet.
Result<std::optional<Identity>> ReadIdentity(WalFileSystem& files, const std::string& directory);

}  // namespace store::wal
