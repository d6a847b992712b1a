// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/topic_admin.h"

#include <absl/functional/function_ref.h>
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <string_view>

namespace bench {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Status;

constexpr int kAnswerMs = 20'000;
constexpr const char* kEverybody = "User:*";

Status Failed(std::string_view what, const char* text) {
  return Fail(ErrorCode::kUnavailable, fmt::format("{}: {}", what, text));
}

Status ErrorOf(std::string_view what, rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_NO_ERROR ? store::Ok() : Failed(what, rd_kafka_err2str(error));
}

// What the answer says about its one item.
Status ItemError(std::string_view what, rd_kafka_event_t* event) {
  size_t count = 0;
  const rd_kafka_topic_result_t** topics = nullptr;
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
      topics =
          rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
      break;
    case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
      topics =
          rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
      break;
    case RD_KAFKA_EVENT_ALTERCONFIGS_RESULT: {
      const auto** resources =
          rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
      return count == 0 ? store::Ok() : ErrorOf(what, rd_kafka_ConfigResource_error(resources[0]));
    }
    default:
      break;
  }
  return count == 0 ? store::Ok() : ErrorOf(what, rd_kafka_topic_result_error(topics[0]));
}

// Runs one request of the admin interface.
Status Ask(const std::string& brokers, std::string_view what,
           absl::FunctionRef<void(rd_kafka_t*, rd_kafka_queue_t*)> request) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 512> text{};
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), text.data(), text.size());
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
  if (client == nullptr) {
    rd_kafka_conf_destroy(conf);
    return Fail(ErrorCode::kInvalidArgument, text.data());
  }
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  request(client, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kAnswerMs);
  Status done =
      event == nullptr ? Failed(what, "no answer") : ErrorOf(what, rd_kafka_event_error(event));
  if (event != nullptr) {
    if (done) {
      done = ItemError(what, event);
    }
    rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(client);
  return done;
}

}  // namespace

Status CreateTopic(const std::string& brokers, const std::string& topic, int partitions,
                   const TopicSettings& settings) {
  return Ask(brokers, topic, [&](rd_kafka_t* client, rd_kafka_queue_t* queue) {
    rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
    for (const auto& [key, value] : settings) {
      rd_kafka_NewTopic_set_config(wanted, key.c_str(), value.c_str());
    }
    rd_kafka_CreateTopics(client, &wanted, 1, nullptr, queue);
    rd_kafka_NewTopic_destroy(wanted);
  });
}

Status AlterTopic(const std::string& brokers, const std::string& topic,
                  const TopicSettings& settings) {
  return Ask(brokers, topic, [&](rd_kafka_t* client, rd_kafka_queue_t* queue) {
    auto* wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
    for (const auto& [key, value] : settings) {
      rd_kafka_ConfigResource_set_config(wanted, key.c_str(), value.c_str());
    }
    rd_kafka_AlterConfigs(client, &wanted, 1, nullptr, queue);
    rd_kafka_ConfigResource_destroy(wanted);
  });
}

Status DropTopic(const std::string& brokers, const std::string& topic) {
  return Ask(brokers, topic, [&](rd_kafka_t* client, rd_kafka_queue_t* queue) {
    rd_kafka_DeleteTopic_t* wanted = rd_kafka_DeleteTopic_new(topic.c_str());
    rd_kafka_DeleteTopics(client, &wanted, 1, nullptr, queue);
    rd_kafka_DeleteTopic_destroy(wanted);
  });
}

Status DenyWrites(const std::string& brokers, const std::string& topic, bool deny) {
  return Ask(brokers, topic, [&](rd_kafka_t* client, rd_kafka_queue_t* queue) {
    std::array<char, 512> text{};
    rd_kafka_AclBinding_t* rule = nullptr;
    if (deny) {
      rule = rd_kafka_AclBinding_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str(),
                                     RD_KAFKA_RESOURCE_PATTERN_LITERAL, kEverybody, "*",
                                     RD_KAFKA_ACL_OPERATION_WRITE,
                                     RD_KAFKA_ACL_PERMISSION_TYPE_DENY, text.data(), text.size());
      rd_kafka_CreateAcls(client, &rule, 1, nullptr, queue);
    } else {
      rule = rd_kafka_AclBindingFilter_new(
          RD_KAFKA_RESOURCE_TOPIC, topic.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, nullptr,
          nullptr, RD_KAFKA_ACL_OPERATION_ANY, RD_KAFKA_ACL_PERMISSION_TYPE_ANY, text.data(),
          text.size());
      rd_kafka_DeleteAcls(client, &rule, 1, nullptr, queue);
    }
    rd_kafka_AclBinding_destroy(rule);
  });
}

}  // namespace bench
