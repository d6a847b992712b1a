// SPDX-License-Identifier: Apache-2.0
// KafkaSink's prober: asks the broker about the topics that are not ready or stalled, one after the
// other, on a thread of its own, for the library's call blocks.
#include "logagent/deliver/kafka_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>

namespace logagent {
namespace {

constexpr int kMetadataTimeoutMs = 1000;
// While there is no producer to ask with.
constexpr store::Duration kProbeAgain = std::chrono::seconds(1);

std::string TextOfFailedPartition(const rd_kafka_metadata_topic_t& topic) {
  for (int i = 0; i < topic.partition_cnt; ++i) {
    if (topic.partitions[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return fmt::format("partition {}: {}", topic.partitions[i].id,
                         rd_kafka_err2str(topic.partitions[i].err));
    }
  }
  return {};
}

}  // namespace

void KafkaSink::Probe() {
  while (true) {
    KafkaTopic* topic = nullptr;
    {
      store::MutexLock lock(mutex_);
      while (!stopping_) {
        topic = topics_.NextToProbe();
        if (topic == nullptr) {
          probe_.Wait(mutex_);
        } else if (clock_.Now() < topic->next_probe) {
          probe_.WaitUntil(mutex_, topic->next_probe);
        } else {
          break;
        }
      }
      if (stopping_) {
        return;
      }
    }
    ProbeTopic(*topic);
  }
}

// Asks the broker without a lock of ours that Produce needs exclusively; the call may wait its
// whole timeout when no broker is there.
void KafkaSink::ProbeTopic(KafkaTopic& topic) {
  std::shared_lock shared(producer_mutex_);
  rd_kafka_topic_t* handle = nullptr;
  {
    store::MutexLock lock(mutex_);
    if (producer_ == nullptr) {
      topic.next_probe = clock_.Now() + kProbeAgain;
      return;
    }
    if (topic.handle == nullptr) {
      topic.handle = rd_kafka_topic_new(producer_, topic.name.c_str(), nullptr);
    }
    handle = topic.handle;
    if (handle == nullptr) {
      topics_.OnMetadata(topic, {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, 0, {}});
      return;
    }
  }
  const rd_kafka_metadata_t* metadata = nullptr;
  auto error = rd_kafka_metadata(producer_, 0, handle, &metadata, kMetadataTimeoutMs);
  bool answered = error == RD_KAFKA_RESP_ERR_NO_ERROR;
  TopicMetadata found;
  if (answered && metadata->topic_cnt == 1) {
    const rd_kafka_metadata_topic_t& row = metadata->topics[0];
    found = {row.err, row.partition_cnt, TextOfFailedPartition(row)};
    brokers_ = static_cast<uint64_t>(std::max(1, metadata->broker_cnt));
  }
  if (metadata != nullptr) {
    rd_kafka_metadata_destroy(metadata);
  }
  store::MutexLock lock(mutex_);
  if (answered) {
    topics_.OnMetadata(topic, found);
  } else {
    topics_.OnSilence(topic, error_.empty() ? rd_kafka_err2str(error) : error_);
  }
}

}  // namespace logagent
