// SPDX-License-Identifier: Apache-2.0
// sluice-agent.
#include "logagent/agent/commands.h"

#include <iostream>

// Read by jemalloc when it starts. Each arena keeps what was freed for ten seconds by default, and
// the shard and the library's threads of three producers have one each: 25 of 98 MiB resident while
// a backlog of many files is caught up, 82 MiB in all like this, at the same rate. MALLOC_CONF in
// the environment comes after it.
extern "C" {
extern const char* const malloc_conf;
const char* const malloc_conf = "narenas:2,dirty_decay_ms:500";
}

int main(int argc, char** argv) {
  return logagent::RunCommandLine(argc, argv, std::cout, std::cerr);
}
