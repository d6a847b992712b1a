// SPDX-License-Identifier: Apache-2.0
// Seed of a randomised test: from the variable SLUICE_SEED, else from the system. It is
// printed, so that a failure can be replayed: SLUICE_SEED=<n> unit_base --gtest_filter=<test>.
#pragma once

#include "store/base/random.h"

#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

namespace store {

inline Random SeededRandom(std::string_view name) {
  const char* given = std::getenv("SLUICE_SEED");
  uint64_t seed = given != nullptr ? std::stoull(given) : EntropySeed();
  std::cout << fmt::format("{}: SLUICE_SEED={}", name, seed) << std::endl;
  return Random(seed).Fork(name);
}

}  // namespace store
