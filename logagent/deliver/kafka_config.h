// SPDX-License-Identifier: Apache-2.0
// KafkaConfig: our options and how they become librdkafka's. Every librdkafka property can be set
// under `properties` and wins over our defaults, except the few that would break the delivery
// guarantee; an unknown name or a bad value is one error that names the key. Value type; any
// thread; of the disk only the files that properties name are looked at.
#pragma once

#include "store/base/error.h"

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace logagent {

using store::Result;
using store::Status;

struct KafkaConfig {
  std::string brokers = "127.0.0.1:9092";  // host:port, separated by commas
  std::string client_id = "sluice-agent";
  std::string compression = "lz4";  // none gzip snappy lz4 zstd
  bool compress_always = false;     // also where it does not pay (KafkaLanes)
  uint32_t linger_ms = 5;
  uint64_t max_line_bytes = 1 << 20;         // the largest of all entries
  uint64_t in_flight_bytes_max = 256 << 20;  // lines plus 256 each; Produce answers kFull above it
  std::map<std::string, std::string> properties;
  // For comparison only: broker threads spin where the library lets them (broker_wait.h).
  bool broker_threads_spin = false;
};

struct KafkaConfDeleter {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using KafkaConfPtr = std::unique_ptr<rd_kafka_conf_t, KafkaConfDeleter>;

// In use, as the library writes it; empty: not set.
std::string PropertyOf(const rd_kafka_conf_t* conf, const char* key);

// Without connecting anywhere. It has an interceptor, so when rd_kafka_new fails it must be given
// up, not destroyed: librdkafka (2.0.2) has freed the interceptor then.
Result<KafkaConfPtr> MakeKafkaConf(const KafkaConfig& config);
// Without the care for the library's threads, and as it is with any other.
Result<KafkaConfPtr> MakePlainKafkaConf(const KafkaConfig& config);
// For `sluice-agent check`: what would end the start. Whether properties contradict each other the
// library tells only when a producer is made; this one has no broker to connect to.
Status CheckKafkaConfig(const KafkaConfig& config);

}  // namespace logagent
