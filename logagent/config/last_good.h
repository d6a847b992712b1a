// SPDX-License-Identifier: Apache-2.0
// The last list that was applied, as it is kept in the state directory (Checkpointer, row
// c/config): what an agent runs with while the store is away. Bound to the key it was read from, so
// that a host that changed its address does not collect for another. Pure functions, any thread.
//
//   "sluice-config 1\n" <revision> "\n" <key> "\n" <text>
#pragma once

#include "store/base/error.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace logagent {

struct LastGood {
  int64_t revision = 0;
  std::string key;
  std::string text;
  friend bool operator==(const LastGood&, const LastGood&) = default;
};

std::string EncodeLastGood(const LastGood& config);
store::Result<LastGood> DecodeLastGood(std::string_view bytes);

}  // namespace logagent
