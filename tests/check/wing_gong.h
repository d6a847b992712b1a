// SPDX-License-Identifier: Apache-2.0
// The search for an order (Wing and Gong's, with the memory of Lowe's): knows nothing of revisions
// but that the model predicts them, so it judges the checker that relies on them. Exponential at
// worst, and each lost answer doubles what may be: for windows of at most 2000 operations. One
// thread.
#pragma once

#include "tests/check/history.h"
#include "tests/check/model.h"

#include <cstdint>
#include <span>
#include <string>

namespace store::check {

struct WingGongOptions {
  size_t operations_max = 2000;
  uint64_t steps_max = 5'000'000;  // then it gives up
  // If given, by revision from the initial state's: each is made by an operation, as it is there.
  const std::vector<Commit>* commits = nullptr;
};

enum class Verdict : uint8_t { kLinearizable, kNotLinearizable, kUnknown };

struct WingGongResult {
  Verdict verdict = Verdict::kUnknown;
  std::string text;  // where it got stuck
  State last;        // kLinearizable: the state one of the orders ends in
  uint64_t steps = 0;
};

// `operations` in any order; only linearizable transactions that are not known to have failed, and
// none that reads a past revision, can take part (see TakesPart); others are left out. An operation
// without an answer may be placed anywhere after its call, or nowhere.
WingGongResult WingGong(std::span<const Operation> operations, const State& initial,
                        const WingGongOptions& options = {});
bool TakesPart(const Operation& operation);

}  // namespace store::check
