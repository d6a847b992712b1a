// SPDX-License-Identifier: Apache-2.0
// Shrink: makes a failing run small by leaving out what clients and nemesis did (delta debugging
// over the schedule, Zeller's ddmin): an act goes if the same kind of problem comes without it.
// Kinds are compared by the problem's first line without its numbers. Bounded by `runs_max`.
#pragma once

#include "tests/sim/pacer.h"
#include "tests/sim/store_options.h"
#include "tests/sim/store_run.h"

#include <cstddef>
#include <string>
#include <vector>

namespace store::sim {

struct Shrunk {
  StoreResult result;  // of the smallest run; its acts are those that are needed
  size_t runs = 0;
};

Shrunk Shrink(const StoreOptions& options, StoreResult failed, size_t runs_max);

// One act a line, "name number"; for --shrink and --only.
std::string ActsToText(const std::vector<ActId>& acts);
std::set<ActId> ActsOfText(const std::string& text);

}  // namespace store::sim
