// SPDX-License-Identifier: Apache-2.0
// sluice-agent.
#include "logagent/agent/commands.h"

#include <iostream>

int main(int argc, char** argv) {
  return logagent::RunCommandLine(argc, argv, std::cout, std::cerr);
}
