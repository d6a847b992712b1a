// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/latency.h"

#include "store/base/clock.h"
#include "store/base/file.h"
#include "tests/bench/topic_reader.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <thread>

namespace bench {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Result;
using store::Status;

constexpr auto kArrivalMax = std::chrono::seconds(20);
constexpr int kPollMs = 50;
// A hot file may share the partition; a consumer that falls behind would be what is measured.
constexpr size_t kMessagesAtOnce = 10'000;

int64_t NowNs() { return store::SystemClock().Now().time_since_epoch().count(); }

std::string Line(char kind) { return fmt::format("latency {} {}", kind, NowNs()); }

// Reads the topic until both kinds are there.
class Arrivals {
 public:
  explicit Arrivals(rd_kafka_t* consumer)
      : consumer_(consumer), queue_(rd_kafka_queue_get_consumer(consumer)) {}
  ~Arrivals() { rd_kafka_queue_destroy(queue_); }
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;

  void Run() {
    std::vector<rd_kafka_message_t*> messages(kMessagesAtOnce);
    while (!stop_.load()) {
      rd_kafka_message_t* first = rd_kafka_consumer_poll(consumer_, kPollMs);
      if (first == nullptr) {
        continue;
      }
      Take(first);
      ssize_t more = rd_kafka_consume_batch_queue(queue_, 0, messages.data(), messages.size());
      for (ssize_t i = 0; i < more; ++i) {
        Take(messages[static_cast<size_t>(i)]);
      }
    }
  }
  bool WaitFor(uint64_t count) const {
    store::SystemClock clock;
    store::TimePoint end = clock.Now() + kArrivalMax;
    while (count_.load() < count) {
      if (clock.Now() > end) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  void Stop() { stop_ = true; }
  uint64_t count() const { return count_.load(); }
  LatencyRun TakeRun() {
    for (LatencyRun::Times* times : {&run_.agent, &run_.direct}) {
      std::ranges::sort(times->to_consumer_ms);
      std::ranges::sort(times->to_broker_ms);
    }
    return std::move(run_);
  }

 private:
  void Take(rd_kafka_message_t* message) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_timestamp_type_t type{};
      int64_t stamp_ms = rd_kafka_message_timestamp(message, &type);
      bool appended = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
      Note({static_cast<const char*>(message->payload), message->len}, appended ? stamp_ms : 0);
    }
    rd_kafka_message_destroy(message);
  }
  // `appended_ms`: since 1970, 0 when it is not known.
  void Note(std::string_view line, int64_t appended_ms) {
    int64_t now = NowNs();
    constexpr std::string_view kPrefix = "latency ";
    if (!line.starts_with(kPrefix) || line.size() < kPrefix.size() + 3) {
      return;
    }
    int64_t written = 0;
    std::from_chars(line.data() + kPrefix.size() + 2, line.data() + line.size(), written);
    double ms = static_cast<double>(now - written) / 1e6;
    LatencyRun::Times& times = line[kPrefix.size()] == 'a' ? run_.agent : run_.direct;
    times.to_consumer_ms.push_back(ms);
    if (appended_ms > 0) {
      double now_ms = static_cast<double>(store::SystemClock().WallMicros()) / 1e3;
      times.to_broker_ms.push_back(static_cast<double>(appended_ms) - (now_ms - ms));
    }
    ++count_;
  }

  rd_kafka_t* consumer_;
  rd_kafka_queue_t* queue_;
  LatencyRun run_;
  std::atomic<uint64_t> count_ = 0;
  std::atomic<bool> stop_ = false;
};

class DirectProducer {
 public:
  static Result<std::unique_ptr<DirectProducer>> Make(const LatencyOptions& options,
                                                      int32_t partition) {
    auto conf = logagent::MakeKafkaConf(options.config);
    RETURN_IF_ERROR(conf);
    std::array<char, 512> text{};
    rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), text.data(), text.size());
    if (producer == nullptr) {
      return Fail(ErrorCode::kInvalidArgument, text.data());
    }
    [[maybe_unused]] auto* given = conf->release();
    return std::unique_ptr<DirectProducer>(new DirectProducer(producer, options.topic, partition));
  }
  ~DirectProducer() {
    rd_kafka_flush(producer_, 10'000);
    rd_kafka_topic_destroy(topic_);
    rd_kafka_destroy(producer_);
  }
  DirectProducer(const DirectProducer&) = delete;
  DirectProducer& operator=(const DirectProducer&) = delete;

  void Send(std::string line) {
    rd_kafka_produce(topic_, partition_, RD_KAFKA_MSG_F_COPY, line.data(), line.size(), nullptr, 0,
                     nullptr);
    rd_kafka_poll(producer_, 0);
  }

 private:
  DirectProducer(rd_kafka_t* producer, const std::string& topic, int32_t partition)
      : producer_(producer),
        topic_(rd_kafka_topic_new(producer, topic.c_str(), nullptr)),
        partition_(partition) {}
  rd_kafka_t* producer_;
  rd_kafka_topic_t* topic_;
  int32_t partition_;
};

// Absolute deadlines: a late line does not push the following ones.
void WaitUntil(store::TimePoint due) {
  store::Duration left = due - store::SystemClock().Now();
  if (left > store::Duration(0)) {
    std::this_thread::sleep_for(left);
  }
}

// Connections and partitions are known, the file is open: not part of the figure.
Status WarmUp(DirectProducer& direct, const std::string& path, Arrivals& arrivals) {
  auto out = store::OpenFile(path, O_WRONLY | O_APPEND);
  RETURN_IF_ERROR(out);
  RETURN_IF_ERROR(store::WriteAll(out->get(), "warm up\n" + Line('a') + "\n", path));
  direct.Send(Line('d'));
  if (!arrivals.WaitFor(2)) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the first lines do not arrive ({} of 2)", arrivals.count()));
  }
  return store::Ok();
}

Status WriteLines(const LatencyOptions& options, DirectProducer& direct, Arrivals& arrivals) {
  RETURN_IF_ERROR(WarmUp(direct, options.file, arrivals));
  auto out = store::OpenFile(options.file, O_WRONLY | O_APPEND, 0644);
  RETURN_IF_ERROR(out);
  store::TimePoint due = store::SystemClock().Now();
  for (uint64_t i = 0; i < options.lines; ++i) {
    due += options.pause / 2;
    WaitUntil(due);
    RETURN_IF_ERROR(store::WriteAll(out->get(), Line('a') + "\n", options.file));
    due += options.pause / 2;
    WaitUntil(due);
    direct.Send(Line('d'));
  }
  if (!arrivals.WaitFor(2 * options.lines + 2)) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{} of {} lines arrived", arrivals.count(), 2 * options.lines + 2));
  }
  return store::Ok();
}

}  // namespace

Result<LatencyRun> RunLatency(const LatencyOptions& options) {
  auto reader = TopicReader::Open(options.config.brokers, options.topic);
  RETURN_IF_ERROR(reader);
  RETURN_IF_ERROR(store::OpenFile(options.file, O_WRONLY | O_APPEND | O_CREAT, 0644));
  auto partition = PartitionOfFile(options.file, (*reader)->partitions());
  RETURN_IF_ERROR(partition);
  RETURN_IF_ERROR((*reader)->FollowFromEnd(*partition));
  auto direct = DirectProducer::Make(options, *partition);
  RETURN_IF_ERROR(direct);
  Arrivals arrivals((*reader)->consumer());
  std::thread thread([&arrivals] { arrivals.Run(); });
  Status written = WriteLines(options, **direct, arrivals);
  arrivals.Stop();
  thread.join();
  RETURN_IF_ERROR(written);
  LatencyRun run = arrivals.TakeRun();
  for (const std::string& path : options.beside) {
    auto other = PartitionOfFile(path, (*reader)->partitions());
    RETURN_IF_ERROR(other);
    run.beside_in_partition += *other == *partition ? 1 : 0;
  }
  return run;
}

}  // namespace bench
