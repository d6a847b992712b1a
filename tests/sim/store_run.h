// SPDX-License-Identifier: Apache-2.0
// One seed of the full-stack simulator: load with faults, then everything is healed and the group
// must find a leader, catch up until all states are equal, answer every call, bring every watcher
// to the present and empty its queues. One thread.
#pragma once

#include "tests/sim/pacer.h"
#include "tests/sim/store_group.h"
#include "tests/sim/store_options.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace store::sim {

struct StoreResult {
  std::string problem;  // empty: everything held
  Time at = 0;          // virtual time of its end
  uint64_t events = 0;
  uint64_t committed = 0;
  int64_t revision = 0;
  uint64_t trace_hash = 0;
  StoreCounts counts;
  std::vector<ActId> acts;  // what was done from outside
};

// How to run it another time.
struct StoreRunLimits {
  std::optional<std::set<ActId>> only;  // all other acts are left out
  uint64_t until = 0;                   // ends after so many events; 0: never
  bool trace = false;                   // prints what happens
};

StoreResult RunStore(const StoreOptions& options, const StoreRunLimits& limits = {});

}  // namespace store::sim
