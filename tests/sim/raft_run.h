// SPDX-License-Identifier: Apache-2.0
// One seed of the raft simulator: load with faults, then everything is healed and the group must
// find a leader, catch up and answer every read. One thread.
#pragma once

#include "tests/sim/raft_group.h"
#include "tests/sim/raft_options.h"

#include <cstdint>
#include <string>

namespace store::sim {

struct RaftResult {
  std::string problem;  // empty: everything held
  Time at = 0;          // virtual time of its end
  uint64_t events = 0;
  uint64_t committed = 0;
  uint64_t trace_hash = 0;
  RaftCounts counts;
};

RaftResult RunRaft(const RaftOptions& options);

}  // namespace store::sim
