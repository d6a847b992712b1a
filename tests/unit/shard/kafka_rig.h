// SPDX-License-Identifier: Apache-2.0
// What the data path's tests run on: a mock cluster in this process, a consumer that reads a topic
// from its beginning, a directory of log files, and an agent's data path (state, sink, shard,
// poller) that can be stopped cleanly or dropped as a kill would. Test thread only.
#pragma once

#include "logagent/agent/poller.h"
#include "logagent/agent/shard.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/deliver/kafka_lanes.h"
#include "logagent/model/model.h"
#include "tests/unit/shard/temp_dir.h"

#include <absl/functional/function_ref.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {

class MockCluster {
 public:
  MockCluster() {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    cluster_ = rd_kafka_mock_cluster_new(host_, 1);
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  void Create(const std::string& topic, int partitions) {
    rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1);
  }
  std::string bootstraps() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* get() { return cluster_; }

 private:
  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

// Everything a topic holds, in order per partition.
class Consumer {
 public:
  Consumer(const std::string& brokers, const std::string& topic, int partitions) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    for (const auto& [key, value] :
         std::map<std::string, std::string>{{"bootstrap.servers", brokers},
                                            {"group.id", "test"},
                                            {"log_level", "0"},
                                            {"fetch.wait.max.ms", "10"},
                                            {"auto.offset.reset", "earliest"}}) {
      rd_kafka_conf_set(conf, key.c_str(), value.c_str(), nullptr, 0);
    }
    consumer_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
    rd_kafka_poll_set_consumer(consumer_);
    rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; ++i) {
      rd_kafka_topic_partition_list_add(all, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(consumer_, all);
    rd_kafka_topic_partition_list_destroy(all);
  }
  ~Consumer() {
    rd_kafka_consumer_close(consumer_);
    rd_kafka_destroy(consumer_);
  }
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }
  std::map<std::string, int> Counts() const {
    std::map<std::string, int> counts;
    for (const std::string& line : lines_) {
      ++counts[line];
    }
    return counts;
  }
  bool Until(absl::FunctionRef<bool()> done,
             std::chrono::seconds deadline = std::chrono::seconds(30)) {
    auto end = std::chrono::steady_clock::now() + deadline;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) {
        return false;
      }
      // The question may be as dear as the lines are many.
      for (int i = 0; i < 10'000 && Poll(i == 0 ? 20 : 1); ++i) {
      }
    }
    return true;
  }
  bool UntilLines(size_t count) {
    return Until([&] { return lines_.size() >= count; });
  }
  // Nothing more arrives for a moment: three empty fetches in a row.
  void Settle() {
    for (int empty = 0; empty < 3;) {
      empty = Poll(50) ? 0 : empty + 1;
    }
  }

 private:
  bool Poll(int timeout_ms) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer_, timeout_ms);
    if (message == nullptr) {
      return false;
    }
    bool line = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (line) {
      lines_.emplace_back(static_cast<const char*>(message->payload), message->len);
    }
    rd_kafka_message_destroy(message);
    return line;
  }

  rd_kafka_t* consumer_ = nullptr;
  std::vector<std::string> lines_;
};

// The system's, and what a test adds to it.
class AdvancedClock final : public store::Clock {
 public:
  store::TimePoint Now() const override { return system_.Now() + ahead_.load(); }
  int64_t WallMicros() const override { return system_.WallMicros(); }
  void Advance(store::Duration by) { ahead_ = ahead_.load() + by; }

 private:
  store::SystemClock system_;
  std::atomic<store::Duration> ahead_ = store::Duration(0);
};

// One life of the data path over a state directory.
class DataPath {
 public:
  DataPath(const Path& directory, const std::string& brokers, KafkaConfig kafka = {},
           ShardOptions options = Quick(), size_t budget_bytes = 16 << 20,
           size_t backlog_lanes = kBacklogLanes)
      : spool_(directory / "dead-letter.log", 64 << 20, clock_),
        budget_(std::make_shared<Budget>(budget_bytes, 1 << 20)) {
    kafka.brokers = brokers;
    auto opened = OpenRocksCheckpoint(directory / "state");
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    checkpointer_ =
        std::make_unique<Checkpointer>(std::move(opened->store), CheckpointerOptions{}, clock_);
    EXPECT_TRUE(checkpointer_->Start().has_value());
    auto sink = KafkaLanes::Make(kafka, spool_, clock_, log_, backlog_lanes);
    EXPECT_TRUE(sink.has_value()) << sink.error().message();
    sink_ = std::move(*sink);
    shard_ = std::make_unique<Shard>(options, files_, *sink_, *checkpointer_, spool_, budget_,
                                     clock_, log_);
    poller_ = std::make_unique<Poller>(*sink_, std::vector<Shard*>{shard_.get()});
    EXPECT_TRUE(shard_->Start().has_value());
    poller_->Start();
  }
  ~DataPath() { Drop(); }

  static ShardOptions Quick() {
    ShardOptions options;
    options.finish_quiet = std::chrono::milliseconds(300);
    options.publish = std::chrono::milliseconds(5);
    return options;
  }

  EntryId Start(const std::string& pattern, const std::string& topic,
                uint64_t max_line_bytes = 1 << 20) {
    EntrySpec spec;
    spec.id = EntryId(++last_id_);
    spec.path = pattern;
    spec.topic = topic;
    spec.max_line_bytes = max_line_bytes;
    EntryId id = spec.id;
    bool first_applied = !checkpointer_->Applied(EntryKey(pattern, topic));
    std::atomic<bool> scanned = false;
    shard_->StartEntry(std::move(spec), first_applied, [&] { scanned = true; });
    EXPECT_TRUE(WaitUntil([&] { return scanned.load(); }));
    return id;
  }
  void StopClean() {
    shard_->Stop(std::chrono::seconds(10));
    poller_->Stop();
    EXPECT_TRUE(checkpointer_->Stop().has_value());
    Drop();
  }
  // As a kill would: nothing drained, nothing written.
  void Drop() {
    if (poller_) {
      poller_->Stop();
    }
    shard_.reset();
    poller_.reset();
    checkpointer_.reset();
    sink_.reset();
  }
  bool UntilAcked(EntryId id) {
    return WaitUntil([&] {
      auto snapshot = shard_->Snapshot();
      for (const EntryStats& entry : snapshot->entries) {
        if (entry.id == id) {
          return entry.files > 0 && entry.lag_bytes == 0;
        }
      }
      return false;
    });
  }
  EntryStats Stats(EntryId id) const {
    for (const EntryStats& entry : shard_->Snapshot()->entries) {
      if (entry.id == id) {
        return entry;
      }
    }
    return {};
  }
  bool UntilState(EntryId id, EntryState state) {
    return WaitUntil([&] { return Stats(id).id == id && Stats(id).state == state; });
  }

  AdvancedClock& clock() { return clock_; }
  Shard& shard() { return *shard_; }
  KafkaLanes& sink() { return *sink_; }
  Checkpointer& checkpointer() { return *checkpointer_; }
  DeadLetterSpool& spool() { return spool_; }
  Budget& budget() { return *budget_; }

 private:
  AdvancedClock clock_;
  // SLUICE_TEST_LOG=1 shows what the agent would log.
  store::Logger log_ = std::getenv("SLUICE_TEST_LOG") == nullptr
                           ? store::Logger()
                           : *store::OpenLog(store::LogOptions{}, clock_);
  PosixFileSystem files_;
  DeadLetterSpool spool_;
  std::shared_ptr<Budget> budget_;
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<KafkaLanes> sink_;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<Poller> poller_;
  uint64_t last_id_ = 0;
};

}  // namespace logagent
