// SPDX-License-Identifier: Apache-2.0
// The command line of sluice-agent: run (the default), check, checkpoint, dead-letters. Messages go
// to the given streams; the answer is the exit code: 0 ok, 1 failed, 2 a mistake on the command
// line. Called once, by main, before there are other threads: run blocks SIGTERM and SIGINT and
// waits for them.
#pragma once

#include "logagent/model/model.h"

#include <ostream>
#include <string>
#include <vector>

namespace logagent {

int RunCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

// Settings from a file, YAML or the course's ini by the name's end (.ini, .conf, .cfg). Errors are
// file:line:column: reason.
struct LoadedSettings {
  AgentConfig config;
  std::vector<std::string> warnings;
};
Result<LoadedSettings> LoadSettings(const std::string& path);

}  // namespace logagent
