// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/ceiling.h"

#include "logagent/tail/chunk.h"
#include "logagent/tail/splitter.h"
#include "store/base/check.h"
#include "store/base/clock.h"
#include "tests/bench/topic_reader.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bench {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Result;

constexpr size_t kTurnBytes = 256 << 10;
constexpr int kMetadataTimeoutMs = 10'000;
// An idempotent producer asks for its id after it is connected; the agent has it by then, too.
constexpr int kSettleMs = 500;

struct MemoryFile {
  std::string_view bytes;
  int32_t partition = 0;
  size_t at = 0;
};

// Mapped with its pages present, so that reading costs the loop nothing.
Result<MemoryFile> MapFile(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat facts;
  if (fd < 0 || fstat(fd, &facts) != 0) {
    return Fail(store::ErrnoError(errno, path));
  }
  auto size = static_cast<size_t>(facts.st_size);
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  close(fd);
  if (bytes == MAP_FAILED) {
    return Fail(store::ErrnoError(errno, path));
  }
  MemoryFile file;
  file.bytes = {static_cast<const char*>(bytes), size};
  return file;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

uint64_t PeakRss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) << 10;
}

class Loop {
 public:
  explicit Loop(uint64_t in_flight_max) : in_flight_max_(in_flight_max) {}
  ~Loop() {
    if (topic_ != nullptr) {
      rd_kafka_topic_destroy(topic_);
    }
    if (queue_ != nullptr) {
      rd_kafka_queue_destroy(queue_);
    }
    if (producer_ != nullptr) {
      rd_kafka_destroy(producer_);
    }
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // How many partitions the topic has.
  Result<int32_t> Connect(const logagent::KafkaConfig& config, const std::string& topic);
  void Run(std::vector<MemoryFile>& files);
  const CeilingRun& run() const { return run_; }

 private:
  void Turn(MemoryFile& file);
  void Produce(const MemoryFile& file, const char* base, const std::vector<logagent::Line>& lines);
  void Poll(int timeout_ms);

  const uint64_t in_flight_max_;
  rd_kafka_t* producer_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  uint64_t in_flight_ = 0;
  std::vector<logagent::Line> lines_;
  std::vector<rd_kafka_message_t> messages_;
  CeilingRun run_;
};

Result<int32_t> Loop::Connect(const logagent::KafkaConfig& config, const std::string& topic) {
  auto conf = logagent::MakeKafkaConf(config);
  RETURN_IF_ERROR(conf);
  rd_kafka_conf_set_events(conf->get(), RD_KAFKA_EVENT_DR);
  std::array<char, 512> text{};
  producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), text.data(), text.size());
  if (producer_ == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, text.data());
  }
  [[maybe_unused]] auto* given = conf->release();
  queue_ = rd_kafka_queue_get_main(producer_);
  topic_ = rd_kafka_topic_new(producer_, topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  auto error = rd_kafka_metadata(producer_, 0, topic_, &metadata, kMetadataTimeoutMs);
  int32_t partitions = 0;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1) {
    error = metadata->topics[0].err;
    partitions = metadata->topics[0].partition_cnt;
  }
  if (metadata != nullptr) {
    rd_kafka_metadata_destroy(metadata);
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR || partitions == 0) {
    return Fail(ErrorCode::kUnavailable, fmt::format("{}: {}", topic, rd_kafka_err2str(error)));
  }
  return partitions;
}

void Loop::Produce(const MemoryFile& file, const char* base,
                   const std::vector<logagent::Line>& lines) {
  messages_.resize(lines.size());
  uint64_t cost = lines.size() * logagent::kLineOverhead;
  for (size_t i = 0; i < lines.size(); ++i) {
    messages_[i] = {};
    messages_[i].payload = const_cast<char*>(base + lines[i].begin);
    messages_[i].len = lines[i].length;
    cost += lines[i].length;
  }
  int taken = rd_kafka_produce_batch(topic_, file.partition, 0, messages_.data(),
                                     static_cast<int>(messages_.size()));
  CHECK(static_cast<size_t>(taken) == lines.size(), "{} of {} taken", taken, lines.size());
  run_.lines += lines.size();
  in_flight_ += cost;
}

void Loop::Turn(MemoryFile& file) {
  const char* begin = file.bytes.data() + file.at;
  std::string_view rest(begin, std::min(kTurnBytes, file.bytes.size() - file.at));
  lines_.clear();
  size_t end = logagent::SplitLines(rest, 0, false, lines_);
  CHECK(end > 0, "a line of more than {} bytes", kTurnBytes);
  Produce(file, begin, lines_);
  file.at += end;
  run_.bytes += end;
}

void Loop::Poll(int timeout_ms) {
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, timeout_ms);
  if (event == nullptr) {
    return;
  }
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
    in_flight_ -= message->len + logagent::kLineOverhead;
    run_.failed += message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
  }
  rd_kafka_event_destroy(event);
}

void Loop::Run(std::vector<MemoryFile>& files) {
  Poll(kSettleMs);
  store::SystemClock clock;
  store::TimePoint began = clock.Now();
  double cpu = CpuSeconds();
  bool more = true;
  while (more) {
    more = false;
    for (MemoryFile& file : files) {
      if (file.at < file.bytes.size()) {
        Turn(file);
        more = true;
      }
      Poll(0);
      while (in_flight_ > in_flight_max_) {
        Poll(100);
      }
    }
  }
  while (in_flight_ > 0) {
    Poll(100);
  }
  run_.began = std::chrono::duration<double>(began.time_since_epoch()).count();
  run_.seconds = std::chrono::duration<double>(clock.Now() - began).count();
  run_.cpu_seconds = CpuSeconds() - cpu;
}

}  // namespace

Result<CeilingRun> RunCeiling(const logagent::KafkaConfig& config, const std::string& topic,
                              const std::vector<std::string>& paths) {
  std::vector<MemoryFile> files;
  uint64_t file_bytes = 0;
  for (const std::string& path : paths) {
    auto file = MapFile(path);
    RETURN_IF_ERROR(file);
    file_bytes += file->bytes.size();
    files.push_back(*file);
  }
  Loop loop(config.in_flight_bytes_max);
  auto partitions = loop.Connect(config, topic);
  RETURN_IF_ERROR(partitions);
  for (size_t i = 0; i < files.size(); ++i) {
    auto partition = PartitionOfFile(paths[i], *partitions);
    RETURN_IF_ERROR(partition);
    files[i].partition = *partition;
  }
  loop.Run(files);
  CeilingRun run = loop.run();
  run.rss_bytes = PeakRss();
  run.file_bytes = file_bytes;
  return run;
}

}  // namespace bench
