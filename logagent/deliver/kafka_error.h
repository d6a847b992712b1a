// SPDX-License-Identifier: Apache-2.0
// What an error of Kafka means for the line that met it. Pure functions.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>
#include <string_view>

namespace logagent {

enum class KafkaErrorKind {
  kDead,      // this record can never be sent
  kTopic,     // this topic cannot take anything now
  kRejected,  // not this time: read it again
};

KafkaErrorKind KindOf(rd_kafka_resp_err_t error);
// "topic web: Broker: Unknown topic or partition"
std::string TextOf(std::string_view topic, rd_kafka_resp_err_t error);
// Without what the library appends about time and repetitions: the same trouble has the same text.
std::string_view Lasting(std::string_view text);

}  // namespace logagent
