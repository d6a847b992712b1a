// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter_replay.h"

#include "logagent/deliver/dead_letter.h"
#include "logagent/deliver/dead_letter_reader.h"
#include "logagent/deliver/kafka_sink.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <limits>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;

constexpr store::Duration kTopicPatience = std::chrono::seconds(30);
constexpr store::Duration kAnswerPatience = std::chrono::seconds(60);

// Sends record after record and counts what became of them.
class Replay {
 public:
  Replay(KafkaSink& sink, const store::Clock& clock)
      : sink_(sink),
        clock_(clock),
        share_(std::make_shared<BudgetShare>(
            std::make_shared<Budget>(std::numeric_limits<size_t>::max(), 0))) {}

  Status Send(const DeadLetterRecord& record, const std::string& topic);
  Status WaitAnswers();
  uint64_t delivered() const { return delivered_; }
  uint64_t refused() const { return refused_; }

 private:
  void Poll();

  KafkaSink& sink_;
  const store::Clock& clock_;
  BudgetSharePtr share_;
  RangeId next_{1};
  uint64_t waiting_ = 0;
  uint64_t delivered_ = 0;
  uint64_t refused_ = 0;
  std::string failure_;
};

void Replay::Poll() {
  sink_.Poll([this](const Delivery& delivery) {
    --waiting_;
    if (delivery.outcome == Delivery::Outcome::kRejected) {
      failure_ = delivery.error;
    } else if (delivery.lines_dead > 0) {
      ++refused_;
    } else {
      ++delivered_;
    }
  });
}

Status Replay::Send(const DeadLetterRecord& record, const std::string& topic) {
  auto chunk = Chunk::TryMake(std::max<size_t>(record.payload.size(), 1), share_);
  record.payload.copy(chunk->data(), record.payload.size());
  chunk->set_size(record.payload.size());
  Batch batch;
  batch.topic = topic.empty() ? record.topic : topic;
  batch.path = record.path;
  batch.file = record.file;
  batch.range = next_;
  next_ = next_ + 1;
  batch.chunk_offset = record.offset;
  batch.chunk = std::move(chunk);
  batch.lines = {{0, static_cast<uint32_t>(record.payload.size())}};
  sink_.Prepare(batch.topic);
  store::TimePoint patience = clock_.Now() + kTopicPatience;
  while (true) {
    Sink::Offer offer = sink_.Produce(batch);
    if (offer == Sink::Offer::kTaken) {
      ++waiting_;
      return store::Ok();
    }
    if (offer == Sink::Offer::kPaused && clock_.Now() > patience) {
      return Fail(ErrorCode::kUnavailable, sink_.Topic(batch.topic).text);
    }
    Poll();
  }
}

Status Replay::WaitAnswers() {
  store::TimePoint patience = clock_.Now() + kAnswerPatience;
  while (waiting_ > 0) {
    if (clock_.Now() > patience) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{} records are not answered: {}", waiting_, sink_.Stats().error));
    }
    Poll();
  }
  if (!failure_.empty()) {
    return Fail(ErrorCode::kUnavailable, failure_);
  }
  return store::Ok();
}

Result<uint64_t> LongestRecord(const Path& file) {
  uint64_t longest = 0;
  auto take = [&](const DeadLetterRecord& record) {
    longest = std::max(longest, record.bytes);
    return store::Ok();
  };
  auto read = ForEachDeadLetter(file, take, [](const store::Error&) {});
  RETURN_IF_ERROR(read);
  return longest;
}

}  // namespace

Result<Path> TakeSpoolAside(const Path& spool) {
  auto fd = store::OpenFile(spool.string(), O_RDWR);
  RETURN_IF_ERROR(fd);
  // An agent that appends right now finishes its record; its next one goes to a new file.
  if (flock(fd->get(), LOCK_EX) != 0) {
    return Fail(store::ErrnoError(errno, spool.string()));
  }
  Path aside;
  for (int number = 1; aside.empty() || store::FileExists(aside.string()); ++number) {
    aside = spool;
    aside += fmt::format(".replay-{}", number);
  }
  RETURN_IF_ERROR(store::RenameFile(spool.string(), aside.string()));
  return aside;
}

Result<Replayed> ReplayDeadLetters(KafkaConfig config, const Path& file, const std::string& topic,
                                   const store::Clock& clock,
                                   absl::FunctionRef<void(const store::Error&)> on_damage) {
  auto longest = LongestRecord(file);
  RETURN_IF_ERROR(longest);
  config.max_line_bytes = std::max(config.max_line_bytes, *longest);
  Replayed replayed;
  replayed.refused_file = file;
  replayed.refused_file += ".refused";
  DeadLetterSpool refused(replayed.refused_file, std::numeric_limits<uint64_t>::max() / 2, clock);
  auto sink = KafkaSink::Make(config, refused, clock);
  RETURN_IF_ERROR(sink);
  Replay replay(**sink, clock);
  auto send = [&](const DeadLetterRecord& record) { return replay.Send(record, topic); };
  auto damaged = ForEachDeadLetter(file, send, on_damage);
  RETURN_IF_ERROR(damaged);
  RETURN_IF_ERROR(replay.WaitAnswers());
  replayed.delivered = replay.delivered();
  replayed.refused = replay.refused();
  replayed.damaged = *damaged;
  if (replayed.damaged == 0 && unlink(file.c_str()) != 0) {
    return Fail(store::ErrnoError(errno, file.string()));
  }
  return replayed;
}

}  // namespace logagent
