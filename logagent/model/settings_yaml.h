// SPDX-License-Identifier: Apache-2.0
// The agent's settings as YAML (configs/logagent.yaml has every key). Unknown keys are errors: a
// setting that nobody reads is a mistake that would stay unseen. Sizes take KiB, MiB, GiB;
// durations ms, s, m. yaml-cpp stays behind this function. Pure, any thread.
#pragma once

#include "logagent/model/model.h"

#include <string_view>
#include <vector>

namespace logagent {

// Errors begin with line:column and name the key.
Result<AgentConfig> ParseSettingsYaml(std::string_view text,
                                      std::vector<Warning>* warnings = nullptr);

// "64MiB", "1024"; and "500ms", "5s", "2m", a plain number means seconds.
Result<size_t> ParseSize(std::string_view text);
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

}  // namespace logagent
