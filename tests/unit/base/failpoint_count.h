// SPDX-License-Identifier: Apache-2.0
// How often a failpoint was passed, for tests that wait until another thread is there.
#pragma once

#include "store/base/failpoint.h"

#include <string_view>

namespace store {

// All zero for a point that nobody passed since Failpoints::CountPasses.
inline Failpoints::Count CountOf(std::string_view failpoint) {
  for (const Failpoints::Count& count : Failpoints::Counts()) {
    if (count.name == failpoint) return count;
  }
  return {};
}

}  // namespace store
