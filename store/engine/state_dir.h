// SPDX-License-Identifier: Apache-2.0
// StateDir: which of member/state-* is the state. The file member/STATE names it and, for a state
// that came as a snapshot, the snapshot's (index, term); switching is one rename of that file, so a
// crash leaves the old name or the new one, never a mixture. Format: one line
//
//   sluice-state 1 <directory name> <index> <term> <crc32c of all before, hex>\n
//
// with index = term = 0 for a state that was not installed. Called at start and by the thread that
// installs; not thread-safe.
#pragma once

#include "store/base/error.h"
#include "store/engine/engine.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace store::engine {

struct StateName {
  std::string directory;  // e.g. "state-1", below the member directory
  uint64_t index = 0;     // of the snapshot it was installed from
  uint64_t term = 0;
  friend bool operator==(const StateName&, const StateName&) = default;
};

// Content of `member`/STATE. nullopt: a fresh member (neither STATE nor any state-*). kCorruption
// when STATE is unreadable, or missing although a state-* exists: then nothing may be deleted.
Result<std::optional<StateName>> ReadStateName(const Path& member);
// Atomic and durable: temporary file, fsync, rename, fsync of the directory.
Status WriteStateName(const Path& member, const StateName& name);
// ReadStateName; a fresh member gets "state-1". The directory itself is created by the engine.
Result<StateName> OpenStateDir(const Path& member);
// Deletes state-* that `name` does not name, and what transfers of an earlier life left (incoming,
// outgoing: checkpoint.h); only after ReadStateName succeeded.
Status RemoveStaleStates(const Path& member, const StateName& name);

}  // namespace store::engine
