// SPDX-License-Identifier: Apache-2.0
// From the settings to what the sink takes. Secrets are read here, once, from their files or the
// environment: they stand in no settings file and no message. Any thread.
#pragma once

#include "logagent/deliver/kafka_config.h"
#include "logagent/model/model.h"

#include <string>

namespace logagent {

// Where the records that can never be sent go, below the state directory.
inline constexpr std::string_view kSpoolName = "dead-letters";

// The error names the secret, never its value.
Result<KafkaConfig> KafkaConfigOf(const AgentSettings& settings);

}  // namespace logagent
