// SPDX-License-Identifier: Apache-2.0
// What the tests of the log share: opening one on a file system and making units.
#pragma once

#include "store/wal/wal.h"
#include "tests/crash/fault_file_system.h"

#include <fmt/format.h>

#include <memory>
#include <string>

namespace store::wal {

inline std::unique_ptr<WalLogStore> OpenLog(WalFileSystem& files, uint64_t seed = 1,
                                            uint64_t segment_bytes = 64 << 10,
                                            uint64_t cluster = 7) {
  return std::make_unique<WalLogStore>(files,
                                       WalOptions{.directory = "wal",
                                                  .identity = {ClusterId(cluster), raft::NodeId(1)},
                                                  .seed = seed,
                                                  .segment_bytes = segment_bytes,
                                                  .helper_thread = false});
}

inline raft::PersistUnit MakeUnit(uint64_t first, uint64_t count, uint64_t term,
                                  size_t bytes = 50) {
  raft::PersistUnit unit;
  unit.id = first;
  unit.must_sync = true;
  unit.hard_state = raft::HardState{raft::Term(term), raft::NodeId(1), raft::Index(first - 1)};
  for (uint64_t i = 0; i < count; ++i) {
    unit.entries.push_back(std::make_shared<raft::Entry>(
        raft::Entry{raft::Term(term), raft::Index(first + i), raft::EntryKind::kCommand,
                    fmt::format("{}:{}", first + i, std::string(bytes, 'd'))}));
  }
  return unit;
}

inline Status AppendOne(LogStore& log, const raft::PersistUnit& unit) {
  const raft::PersistUnit* group[] = {&unit};
  return log.Append(group);
}

inline std::string SegmentPath(uint64_t sequence) { return SegmentPool::PathOf("wal", sequence); }

}  // namespace store::wal
