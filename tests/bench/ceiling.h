// SPDX-License-Identifier: Apache-2.0
// The ceiling the agent is measured against: one loop that finds the lines of files it holds in
// memory and hands them to librdkafka, with the agent's settings and the agent's partitions,
// pointers only and with as many bytes in flight as the agent may have. It keeps no position,
// survives nothing and follows no file. One thread, called once.
#pragma once

#include "logagent/deliver/kafka_config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct CeilingRun {
  uint64_t lines = 0;
  uint64_t bytes = 0;  // newlines included, as the agent counts
  uint64_t failed = 0;
  double began = 0;    // on the clock that Python calls time.monotonic()
  double seconds = 0;  // from the first line handed over to the last acknowledgement
  double cpu_seconds = 0;
  uint64_t rss_bytes = 0;  // at most, the files included
  uint64_t file_bytes = 0;
};

store::Result<CeilingRun> RunCeiling(const logagent::KafkaConfig& config, const std::string& topic,
                                     const std::vector<std::string>& paths);

}  // namespace bench
