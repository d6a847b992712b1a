// SPDX-License-Identifier: Apache-2.0
// The commands of sluice-agent that look into the state directory or change it: `checkpoint
// list|set` and `dead-letters list|replay`. List works beside a running agent; set needs it
// stopped; replay takes the spool's records from under it. Called by the command line, before there
// are threads; the answer is the exit code.
#pragma once

#include "logagent/model/model.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <ostream>
#include <string>

namespace logagent {

class StateCommands {
 public:
  // Adds the subcommands; their options are kept here.
  explicit StateCommands(CLI::App& app);

  // Whether one of them was given.
  bool parsed() const;
  int Run(const AgentSettings& settings, std::ostream& out, std::ostream& err) const;

 private:
  Status ListCheckpoints(const AgentSettings& settings, std::ostream& out) const;
  Status SetCheckpoint(const AgentSettings& settings, std::ostream& out) const;
  Status ListDeadLetters(const AgentSettings& settings, std::ostream& out) const;
  Status Replay(const AgentSettings& settings, std::ostream& out) const;

  CLI::App* list_ = nullptr;
  CLI::App* set_ = nullptr;
  CLI::App* dead_list_ = nullptr;
  CLI::App* replay_ = nullptr;
  std::string path_;
  std::string topic_;
  std::string file_;
  std::string offset_;
  std::string spool_;
};

}  // namespace logagent
