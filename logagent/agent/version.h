// SPDX-License-Identifier: Apache-2.0
// The agent's version, as it tells it to people and to the store.
#pragma once

#include <string_view>

namespace logagent {

inline constexpr std::string_view kAgentVersion = "0.1.0";

}  // namespace logagent
