// SPDX-License-Identifier: Apache-2.0
// `sluice-agent explain PATH`: asks the running agent over its HTTP address, or reads list and
// checkpoints when none answers, and prints why the file is or is not collected (explain.h). Called
// by the command line, before there are threads. Each request has kAnswerLimit and
// kAnswerBytesMax.
#pragma once

#include "logagent/agent/explain.h"
#include "logagent/model/model.h"

#include <chrono>
#include <cstddef>
#include <ostream>
#include <string>

namespace logagent {

inline constexpr std::chrono::seconds kAnswerLimit{5};
inline constexpr size_t kAnswerBytesMax = size_t{256} << 20;

// The body of a 200 answer of an HttpAdmin.
Result<std::string> HttpGet(const std::string& address, const std::string& target);

// The exit code: 0 when the file is collected, 1 when it is not or that cannot be found out.
int RunExplain(const AgentConfig& config, const std::string& path, std::ostream& out,
               std::ostream& err);

}  // namespace logagent
