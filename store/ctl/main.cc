// SPDX-License-Identifier: Apache-2.0
// sluicectl: the table of all verbs.
#include "store/ctl/agent_commands.h"
#include "store/ctl/cluster_commands.h"
#include "store/ctl/command.h"
#include "store/ctl/config_commands.h"
#include "store/ctl/kv_commands.h"
#include "store/ctl/lease_commands.h"
#include "store/ctl/member_commands.h"
#include "store/ctl/watch_command.h"

#include <iostream>
#include <span>
#include <string>
#include <vector>

extern char** environ;

namespace {

using store::ctl::Command;

int Version(store::ctl::Session& session, const store::ctl::ParsedFlags&) {
  session.out() << "sluicectl version: 0.1.0\nAPI version: 3.7\n";
  return store::ctl::kExitOk;
}

constexpr Command kOwnCommands[] = {{"version", "", "version of this program", {}, Version}};

std::vector<Command> AllCommands() {
  std::vector<Command> commands;
  for (std::span<const Command> part :
       {store::ctl::KvCommands(), store::ctl::WatchCommands(), store::ctl::LeaseCommands(),
        store::ctl::ClusterCommands(), store::ctl::MemberCommands(), store::ctl::ConfigCommands(),
        store::ctl::AgentCommands(), std::span<const Command>(kOwnCommands)}) {
    commands.insert(commands.end(), part.begin(), part.end());
  }
  return commands;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  std::vector<Command> commands = AllCommands();
  return store::ctl::RunCommand(commands, arguments, environment,
                                {.in = std::cin, .out = std::cout, .err = std::cerr});
}
