// SPDX-License-Identifier: Apache-2.0
// What survives one simulated member, and how it becomes one again: the boot rules of
// store/server/bootstrap over a simulated disk. Single-threaded.
#pragma once

#include "store/apply/sys_rows.h"
#include "store/base/error.h"
#include "store/engine/mem_engine.h"
#include "store/engine/state_dir.h"
#include "tests/raft_scenarios/unit_disk.h"

#include <memory>

namespace store::sim {

struct StoreDisk {
  raft::UnitDisk log;
  std::shared_ptr<engine::MemEngine> state;  // null: never started
  engine::StateName name;                    // what STATE says of it
  raft::Index durable;                       // what its applied row says on disk
};

// Founders begin behind an entry nobody has: who comes later with nothing needs a snapshot.
inline constexpr raft::Index kFoundingIndex{1};
inline constexpr raft::Term kFoundingTerm{1};

// Makes up for what a crash left between an install and the log, then compares the two; true: there
// was something. `applied` is what the state says.
Result<bool> CheckBootLog(StoreDisk& disk, const apply::AppliedRow& applied);

}  // namespace store::sim
