// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/topic_reader.h"

#include "logagent/deliver/partition.h"
#include "logagent/tail/file_system.h"
#include "store/base/clock.h"
#include "tests/bench/line_file.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <thread>

namespace bench {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Result;

constexpr int kCallTimeoutMs = 10'000;
// Each question costs the broker time that what is measured needs: far from the end there are few.
constexpr store::Duration kAskAgain = std::chrono::milliseconds(10);
constexpr store::Duration kAskAgainMax = std::chrono::milliseconds(250);
constexpr int kSilenceMaxMs = 20'000;

Result<rd_kafka_t*> MakeConsumer(const std::string& brokers) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 512> text{};
  constexpr std::pair<const char*, const char*> kOptions[] = {
      {"group.id", "bench"},
      {"log_level", "0"},
      {"enable.auto.commit", "false"},
      {"fetch.wait.max.ms", "10"},
      {"check.crcs", "true"},
      {"enable.partition.eof", "true"},
      {"fetch.message.max.bytes", "8388608"}};
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), text.data(), text.size());
  for (const auto& [key, value] : kOptions) {
    if (rd_kafka_conf_set(conf, key, value, text.data(), text.size()) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return Fail(ErrorCode::kInvalidArgument, text.data());
    }
  }
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text.data(), text.size());
  if (consumer == nullptr) {
    rd_kafka_conf_destroy(conf);
    return Fail(ErrorCode::kInvalidArgument, text.data());
  }
  return consumer;
}

Result<int32_t> CountPartitions(rd_kafka_t* consumer, const std::string& topic) {
  rd_kafka_topic_t* handle = rd_kafka_topic_new(consumer, topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  auto error = rd_kafka_metadata(consumer, 0, handle, &metadata, kCallTimeoutMs);
  int32_t partitions = 0;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1) {
    error = metadata->topics[0].err;
    partitions = metadata->topics[0].partition_cnt;
  }
  if (metadata != nullptr) {
    rd_kafka_metadata_destroy(metadata);
  }
  rd_kafka_topic_destroy(handle);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR || partitions == 0) {
    return Fail(ErrorCode::kUnavailable, fmt::format("{}: {}", topic, rd_kafka_err2str(error)));
  }
  return partitions;
}

}  // namespace

Result<int32_t> PartitionOfFile(const std::string& path, int32_t partitions) {
  auto facts = logagent::PosixFileSystem().StatPath(path);
  RETURN_IF_ERROR(facts);
  return logagent::PartitionOf({facts->device, facts->inode}, partitions);
}

class TopicReader::Judge {
 public:
  void Add(int32_t partition, std::string_view payload) {
    ++contents_.records;
    auto name = ParseLine(payload);
    if (!name) {
      ++contents_.foreign;
      return;
    }
    std::vector<bool>& seen = seen_[name->stream];
    if (seen.size() <= name->sequence) {
      seen.resize(std::max<size_t>(name->sequence + 1, seen.size() * 2));
    }
    if (seen[name->sequence]) {
      ++contents_.repeated;
      return;
    }
    seen[name->sequence] = true;
    ++contents_.distinct;
    auto [last, first] = last_.try_emplace({partition, name->stream}, name->sequence);
    if (!first && name->sequence < last->second) {
      ++contents_.disorder;
    } else {
      last->second = name->sequence;
    }
  }
  void Partition() { ++contents_.partitions_used; }
  const TopicContents& contents() const { return contents_; }

 private:
  TopicContents contents_;
  std::map<uint32_t, std::vector<bool>> seen_;
  std::map<std::pair<int32_t, uint32_t>, uint64_t> last_;
};

Result<std::unique_ptr<TopicReader>> TopicReader::Open(const std::string& brokers,
                                                       const std::string& topic) {
  auto consumer = MakeConsumer(brokers);
  RETURN_IF_ERROR(consumer);
  std::unique_ptr<TopicReader> reader(new TopicReader(topic, *consumer));
  auto partitions = CountPartitions(*consumer, topic);
  RETURN_IF_ERROR(partitions);
  reader->partitions_ = *partitions;
  rd_kafka_poll_set_consumer(*consumer);
  return reader;
}

TopicReader::~TopicReader() { rd_kafka_destroy(consumer_); }

Result<std::vector<std::pair<int64_t, int64_t>>> TopicReader::Offsets() {
  std::vector<std::pair<int64_t, int64_t>> offsets(static_cast<size_t>(partitions_));
  for (int32_t i = 0; i < partitions_; ++i) {
    auto& [low, high] = offsets[static_cast<size_t>(i)];
    auto error =
        rd_kafka_query_watermark_offsets(consumer_, topic_.c_str(), i, &low, &high, kCallTimeoutMs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{}: {}", topic_, rd_kafka_err2str(error)));
    }
  }
  return offsets;
}

Result<uint64_t> TopicReader::Written() {
  auto offsets = Offsets();
  RETURN_IF_ERROR(offsets);
  uint64_t sum = 0;
  for (const auto& [low, high] : *offsets) {
    sum += static_cast<uint64_t>(high);
  }
  return sum;
}

Result<bool> TopicReader::WaitWritten(uint64_t records, std::chrono::seconds deadline) {
  store::SystemClock clock;
  store::TimePoint end = clock.Now() + deadline;
  store::TimePoint first{};
  while (true) {
    auto written = Written();
    if (written && *written >= records) {
      return true;
    }
    store::TimePoint now = clock.Now();
    if (now > end) {
      RETURN_IF_ERROR(written);
      return false;
    }
    // A topic that was created a moment ago may be without leader.
    store::Duration pause = kAskAgain;
    if (written && *written > 0) {
      first = first == store::TimePoint{} ? now : first;
      double left = static_cast<double>(records - *written) / static_cast<double>(*written);
      pause = std::chrono::duration_cast<store::Duration>((now - first) * std::min(left, 10.0) / 4);
    }
    std::this_thread::sleep_for(std::clamp<store::Duration>(pause, kAskAgain, kAskAgainMax));
  }
}

store::Status TopicReader::FollowFromEnd(int32_t partition) {
  auto offsets = Offsets();
  RETURN_IF_ERROR(offsets);
  rd_kafka_topic_partition_list_t* one = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(one, topic_.c_str(), partition)->offset =
      (*offsets)[static_cast<size_t>(partition)].second;
  rd_kafka_assign(consumer_, one);
  rd_kafka_topic_partition_list_destroy(one);
  return store::Ok();
}

Result<TopicContents> TopicReader::ReadAll() {
  auto offsets = Offsets();
  RETURN_IF_ERROR(offsets);
  Judge judge;
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions_);
  int32_t open = 0;
  for (int32_t i = 0; i < partitions_; ++i) {
    auto [low, high] = (*offsets)[static_cast<size_t>(i)];
    if (low < high) {
      rd_kafka_topic_partition_list_add(all, topic_.c_str(), i)->offset = low;
      ++open;
      judge.Partition();
    }
  }
  rd_kafka_assign(consumer_, all);
  rd_kafka_topic_partition_list_destroy(all);
  while (open > 0) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer_, kSilenceMaxMs);
    if (message == nullptr) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{}: the broker is silent", topic_));
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      judge.Add(message->partition, {static_cast<const char*>(message->payload), message->len});
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      --open;
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_assign(consumer_, nullptr);
  return judge.contents();
}

}  // namespace bench
