// SPDX-License-Identifier: Apache-2.0
// KafkaTopics: what is known about each topic, and which one is to be asked about next. A topic
// becomes ready by the broker's metadata, goes into error when lines for it are refused, and is
// stalled when it has lines in flight and none was answered for kStalledAfter: the library waits
// then, without a word, for a partition without leader, a full disk at the broker or a broker that
// is away. Asks nobody itself; the sink does. Not thread-safe: guarded by the sink's mutex. Bounded
// by the topics ever configured: none is removed while the sink lives.
#pragma once

#include "logagent/deliver/partition_queue.h"
#include "logagent/deliver/sink.h"
#include "logagent/tail/schedule.h"
#include "store/base/clock.h"

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {

inline constexpr store::Duration kStalledAfter = std::chrono::seconds(10);

struct KafkaTopic {
  explicit KafkaTopic(std::string_view topic) : name(topic) {}

  const std::string name;
  rd_kafka_topic_t* handle = nullptr;  // the sink's
  TopicStatus status;
  uint64_t in_flight = 0;                    // ranges
  std::map<int32_t, PartitionQueue> queues;  // of the partitions that were written to
  store::TimePoint answered_at;
  bool stalled = false;
  std::string partition_text;  // of a partition that cannot take lines, in the broker's words
  bool probing = false;
  store::TimePoint next_probe;
  store::TimePoint unknown_since;
  Backoff backoff{std::chrono::milliseconds(50), std::chrono::seconds(5)};
};

// What the broker said about a topic.
struct TopicMetadata {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  int32_t partitions = 0;
  std::string partition_text;
};

class KafkaTopics {
 public:
  explicit KafkaTopics(const store::Clock& clock) : clock_(clock) {}

  // `added`: nothing is known about it yet, it is to be asked about.
  KafkaTopic& Find(std::string_view name, bool* added);
  TopicStatus Status(std::string_view name) const;
  // Stalled topics with the reason; `error` is what the library complained about last.
  std::vector<std::pair<std::string, std::string>> Stalled(std::string_view error) const;

  // A range of it is in flight, of so many bytes for that partition; and this is its end.
  void Taken(KafkaTopic& topic, int32_t partition = 0, uint64_t bytes = 0);
  void Answered(KafkaTopic& topic, int32_t partition = 0, uint64_t bytes = 0);
  // True when a topic is stalled that was not at the last call: it is to be asked about.
  bool NoteStalled();

  // The one that is to be asked about first, at its next_probe; null: none.
  KafkaTopic* NextToProbe();
  void OnMetadata(KafkaTopic& topic, const TopicMetadata& metadata);
  void OnSilence(KafkaTopic& topic, std::string_view error);
  // True when it goes into error by this.
  bool OnRefused(KafkaTopic& topic, rd_kafka_resp_err_t error);

  // The producer goes: handles are destroyed, and nothing is known any more.
  void Forget();

 private:
  const store::Clock& clock_;
  std::map<std::string, std::unique_ptr<KafkaTopic>, std::less<>> topics_;
};

}  // namespace logagent
