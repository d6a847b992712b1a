// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter_replay.h"

#include "logagent/deliver/dead_letter.h"
#include "logagent/deliver/kafka_sink.h"
#include "logagent/model/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kHeaderBytesMax = 64 << 10;
constexpr store::Duration kTopicPatience = std::chrono::seconds(30);
constexpr store::Duration kAnswerPatience = std::chrono::seconds(60);

template <class T>
bool TakeNumber(const JsonValue& value, T* out) {
  const std::string& text = value.text;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return value.kind == JsonValue::Kind::kNumber && error == std::errc() &&
         end == text.data() + text.size();
}

// False for a member of the wrong type; unknown ones are from a newer agent and are passed over.
bool TakeMember(const JsonValue::Member& member, DeadLetterRecord* record) {
  const JsonValue& value = member.value;
  auto text = [&value](std::string* out) {
    *out = value.text;
    return value.kind == JsonValue::Kind::kString;
  };
  if (member.name == "topic") return text(&record->topic);
  if (member.name == "path") return text(&record->path);
  if (member.name == "reason") return text(&record->reason);
  if (member.name == "device") return TakeNumber(value, &record->file.device);
  if (member.name == "inode") return TakeNumber(value, &record->file.inode);
  if (member.name == "generation") return TakeNumber(value, &record->file.generation);
  if (member.name == "offset") return TakeNumber(value, &record->offset);
  if (member.name == "bytes") return TakeNumber(value, &record->bytes);
  if (member.name == "time_us") return TakeNumber(value, &record->time_us);
  return true;
}

std::optional<DeadLetterRecord> ParseHeader(std::string_view line) {
  auto json = ParseJson(line);
  if (!json || json->kind != JsonValue::Kind::kObject) {
    return std::nullopt;
  }
  DeadLetterRecord record;
  for (const JsonValue::Member& member : json->members) {
    if (!TakeMember(member, &record)) {
      return std::nullopt;
    }
  }
  return record.topic.empty() ? std::nullopt : std::optional(std::move(record));
}

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
  auto reader = DeadLetterReader::Open(file);
  RETURN_IF_ERROR(reader);
  uint64_t longest = 0;
  while (true) {
    auto record = reader->Next();
    RETURN_IF_ERROR(record);
    if (!*record) {
      return longest;
    }
    longest = std::max(longest, (*record)->bytes);
  }
}

Status SendAll(Replay& replay, const Path& file, const std::string& topic) {
  auto reader = DeadLetterReader::Open(file);
  RETURN_IF_ERROR(reader);
  while (true) {
    auto record = reader->Next();
    RETURN_IF_ERROR(record);
    if (!*record) {
      return replay.WaitAnswers();
    }
    RETURN_IF_ERROR(replay.Send(**record, topic));
  }
}

}  // namespace

Result<DeadLetterReader> DeadLetterReader::Open(const Path& file) {
  auto fd = store::OpenFile(file.string(), O_RDONLY);
  RETURN_IF_ERROR(fd);
  return DeadLetterReader(std::move(*fd), file.string());
}

// Whether that many bytes, or the end of the file, are in the buffer.
Result<bool> DeadLetterReader::Fill(size_t bytes) {
  while (buffer_.size() < bytes) {
    size_t had = buffer_.size();
    buffer_.resize(had + std::max(kReadBytes, bytes - had));
    ssize_t count = read(fd_.get(), buffer_.data() + had, buffer_.size() - had);
    buffer_.resize(had + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0) {
      return Fail(store::ErrnoError(errno, name_));
    }
    if (count == 0) {
      return false;
    }
  }
  return true;
}

store::Error DeadLetterReader::Damaged(std::string_view what) const {
  return store::Error(ErrorCode::kCorruption, fmt::format("{}: at byte {}: {}", name_, at_, what));
}

Result<std::optional<DeadLetterRecord>> DeadLetterReader::Next() {
  size_t line_end = std::string::npos;
  for (size_t wanted = 1; line_end == std::string::npos; wanted = buffer_.size() + 1) {
    auto filled = Fill(wanted);
    RETURN_IF_ERROR(filled);
    if (!*filled) {
      if (buffer_.empty()) return std::nullopt;
      return Fail(Damaged("the header is not whole"));
    }
    line_end = buffer_.find('\n');
    if (line_end == std::string::npos && buffer_.size() > kHeaderBytesMax + kReadBytes) {
      return Fail(Damaged("this is no header"));
    }
  }
  auto record = ParseHeader(std::string_view(buffer_).substr(0, line_end));
  if (!record) {
    return Fail(Damaged("this is no header"));
  }
  size_t begin = line_end + 1;
  if (record->bytes > store::kReadFileBytesMax) {
    return Fail(Damaged("the record is longer than any spool"));
  }
  auto whole = Fill(begin + record->bytes + 1);
  RETURN_IF_ERROR(whole);
  if (!*whole || buffer_[begin + record->bytes] != '\n') {
    return Fail(Damaged("the record is not whole"));
  }
  record->payload = buffer_.substr(begin, record->bytes);
  at_ += begin + record->bytes + 1;
  buffer_.erase(0, begin + record->bytes + 1);
  return record;
}

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
                                   const store::Clock& clock) {
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
  RETURN_IF_ERROR(SendAll(replay, file, topic));
  replayed.delivered = replay.delivered();
  replayed.refused = replay.refused();
  if (unlink(file.c_str()) != 0) {
    return Fail(store::ErrnoError(errno, file.string()));
  }
  return replayed;
}

}  // namespace logagent
