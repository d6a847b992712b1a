// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_topics.h"

#include "logagent/deliver/kafka_error.h"
#include "store/base/check.h"

#include <fmt/format.h>

namespace logagent {
namespace {

constexpr store::Duration kProbeSoon = std::chrono::milliseconds(50);
constexpr store::Duration kProbeStalled = std::chrono::seconds(5);
// A topic that is created on first use is unknown for a moment; only then it is an error.
constexpr store::Duration kUnknownTopicGrace = std::chrono::seconds(3);

}  // namespace

KafkaTopic& KafkaTopics::Find(std::string_view name, bool* added) {
  auto at = topics_.find(name);
  *added = at == topics_.end();
  if (*added) {
    auto topic = std::make_unique<KafkaTopic>(name);
    topic->status.text = fmt::format("topic {}: waiting for a broker", name);
    topic->next_probe = clock_.Now();
    at = topics_.emplace(std::string(name), std::move(topic)).first;
  }
  return *at->second;
}

TopicStatus KafkaTopics::Status(std::string_view name) const {
  auto at = topics_.find(name);
  return at == topics_.end() ? TopicStatus{} : at->second->status;
}

std::vector<std::pair<std::string, std::string>> KafkaTopics::Stalled(
    std::string_view error) const {
  std::vector<std::pair<std::string, std::string>> stalled;
  for (const auto& [name, topic] : topics_) {
    if (topic->stalled) {
      std::string_view reason = topic->partition_text.empty() ? error : topic->partition_text;
      stalled.emplace_back(name, fmt::format("topic {}: Kafka does not acknowledge{}{}", name,
                                             reason.empty() ? "" : ": ", reason));
    }
  }
  return stalled;
}

void KafkaTopics::Taken(KafkaTopic& topic, int32_t partition, uint64_t bytes) {
  store::TimePoint now = clock_.Now();
  if (topic.in_flight++ == 0) {
    topic.answered_at = now;
  }
  topic.queues.try_emplace(partition, now).first->second.Taken(bytes, now);
}

void KafkaTopics::Answered(KafkaTopic& topic, int32_t partition, uint64_t bytes) {
  CHECK(topic.in_flight > 0);
  --topic.in_flight;
  topic.answered_at = clock_.Now();
  topic.queues.at(partition).Answered(bytes, topic.answered_at);
  topic.stalled = false;
  topic.partition_text.clear();
}

bool KafkaTopics::NoteStalled() {
  bool any = false;
  store::TimePoint now = clock_.Now();
  for (auto& [name, topic] : topics_) {
    if (!topic->stalled && topic->in_flight > 0 && now - topic->answered_at >= kStalledAfter) {
      topic->stalled = true;
      topic->next_probe = now;
      any = true;
    }
  }
  return any;
}

KafkaTopic* KafkaTopics::NextToProbe() {
  KafkaTopic* next = nullptr;
  for (auto& [name, topic] : topics_) {
    bool wanted = topic->stalled || topic->status.state != TopicStatus::State::kReady;
    if (wanted && (next == nullptr || topic->next_probe < next->next_probe)) {
      next = topic.get();
    }
  }
  return next;
}

void KafkaTopics::OnMetadata(KafkaTopic& topic, const TopicMetadata& metadata) {
  store::TimePoint now = clock_.Now();
  rd_kafka_resp_err_t error = metadata.error;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata.partitions > 0) {
    topic.status = {TopicStatus::State::kReady, metadata.partitions, {}};
    topic.partition_text = topic.stalled ? metadata.partition_text : std::string();
    topic.unknown_since = {};
    topic.backoff.Reset();
    topic.next_probe = now + kProbeStalled;
    return;
  }
  topic.status.text = TextOf(topic.name, error);
  bool may_appear = error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                    error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                    error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                    error == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (topic.unknown_since == store::TimePoint{}) {
    topic.unknown_since = now;
  }
  if (may_appear && now - topic.unknown_since < kUnknownTopicGrace) {
    topic.next_probe = now + kProbeSoon;
    return;
  }
  if (KindOf(error) == KafkaErrorKind::kTopic) {
    topic.status.state = TopicStatus::State::kError;
  }
  topic.next_probe = now + topic.backoff.Next();
}

void KafkaTopics::OnSilence(KafkaTopic& topic, std::string_view error) {
  bool ready = topic.status.state == TopicStatus::State::kReady;
  if (!ready) {
    topic.status.text = fmt::format("topic {}: {}", topic.name, error);
  }
  topic.next_probe = clock_.Now() + (ready ? kProbeStalled : kProbeSoon);
}

bool KafkaTopics::OnRefused(KafkaTopic& topic, rd_kafka_resp_err_t error) {
  if (topic.status.state != TopicStatus::State::kReady) {
    return false;
  }
  topic.status.state = TopicStatus::State::kError;
  topic.status.text = TextOf(topic.name, error);
  topic.next_probe = clock_.Now() + topic.backoff.Next();
  return true;
}

void KafkaTopics::Forget() {
  for (auto& [name, topic] : topics_) {
    if (topic->handle != nullptr) {
      rd_kafka_topic_destroy(topic->handle);
      topic->handle = nullptr;
    }
    topic->status = {};
    topic->partition_text.clear();
    topic->next_probe = clock_.Now();
  }
}

}  // namespace logagent
