// SPDX-License-Identifier: Apache-2.0
// The course's config.ini, as it is: [kafka] address, chan_max_size and [etcd] address, timeout,
// collect_log_key, with the spellings, aliases and flat forms met in the wild (each alias is a
// warning). The rules of its reader are kept: = or : after the name, # and ; begin a comment,
// quotes are stripped, a backslash at the line's end continues it; with one friendlier exception:
// in addresses ; separates, so that "a:9092;b:9092" names both brokers. A file without etcd but
// with a log file and a topic is the stand-alone form: its entry is returned in
// AgentConfig::entries. Pure functions, any thread.
#pragma once

#include "logagent/model/model.h"

#include <string_view>
#include <vector>

namespace logagent {

struct LegacyConfig {
  AgentConfig config;
  std::vector<Warning> warnings;
};

// Errors begin with line:column. What the text does not say has the value it has in `defaults`.
Result<LegacyConfig> ParseLegacyIni(std::string_view text, const AgentSettings& defaults = {});

}  // namespace logagent
