// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_error.h"

#include <fmt/format.h>

namespace logagent {

KafkaErrorKind KindOf(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
      return KafkaErrorKind::kDead;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return KafkaErrorKind::kTopic;
    default:
      return KafkaErrorKind::kRejected;
  }
}

std::string TextOf(std::string_view topic, rd_kafka_resp_err_t error) {
  return fmt::format("topic {}: {}", topic, rd_kafka_err2str(error));
}

std::string_view Lasting(std::string_view text) { return text.substr(0, text.find(" (after ")); }

}  // namespace logagent
