// SPDX-License-Identifier: Apache-2.0
// How long a line takes to a consumer: by way of a file and the agent, and beside it, in the same
// run and with the same settings, handed to librdkafka directly. Lines carry the moment they were
// written; both kinds take turns, in one partition, and the consumer reads no other: one that reads
// the hot files beside the measured one as well is what is late. Two threads of its own while it
// runs; called once.
#pragma once

#include "logagent/deliver/kafka_config.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct LatencyOptions {
  logagent::KafkaConfig config;  // the direct producer's
  std::string topic;
  std::string file;
  std::vector<std::string> beside;  // the hot files, of the same entry
  uint64_t lines = 500;
  std::chrono::milliseconds pause{10};  // between two lines of a kind
};

struct LatencyRun {
  struct Times {
    // Each sorted.
    std::vector<double> to_consumer_ms;
    std::vector<double> to_broker_ms;  // whole ones; none unless the topic keeps LogAppendTime
  };
  Times agent;
  Times direct;
  size_t beside_in_partition = 0;  // hot files whose lines go to the measured one's partition
};

store::Result<LatencyRun> RunLatency(const LatencyOptions& options);

}  // namespace bench
