// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter_reader.h"

#include "logagent/model/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kHeaderBytesMax = 64 << 10;
constexpr uint64_t kLastBytes = 4 << 20;
// Every header begins so; what else does is found out by reading it.
constexpr std::string_view kHeaderBegin = R"({"topic":)";

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
  if (!line.starts_with(kHeaderBegin)) {
    return std::nullopt;
  }
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

// Half a record's length may lead by chance to a newline of a later one. But a line has a newline
// at its end only: one before that, behind a header, is that header's.
bool HoldsAnotherRecord(std::string_view payload) {
  size_t line_end = payload.find('\n');
  if (line_end == std::string_view::npos || line_end + 1 == payload.size()) {
    return false;
  }
  size_t begin = payload.rfind(kHeaderBegin, line_end);
  return begin != std::string_view::npos &&
         ParseHeader(payload.substr(begin, line_end - begin)).has_value();
}

}  // namespace

Result<DeadLetterReader> DeadLetterReader::Open(const Path& file) {
  auto fd = store::OpenFile(file.string(), O_RDONLY);
  RETURN_IF_ERROR(fd);
  auto size = store::FileSize(file.string());
  RETURN_IF_ERROR(size);
  return DeadLetterReader(std::move(*fd), file.string(), *size);
}

// So many bytes, or all up to the end of the file, are in the buffer.
Status DeadLetterReader::Fill(size_t bytes) {
  while (Bytes().size() < std::min<uint64_t>(bytes, size_ - at_)) {
    buffer_.erase(0, std::exchange(taken_, 0));
    size_t had = buffer_.size();
    size_t wanted = std::max(kReadBytes, bytes - had);
    buffer_.resize(had + std::min<uint64_t>(size_ - at_ - had, wanted));
    ssize_t count =
        pread(fd_.get(), buffer_.data() + had, buffer_.size() - had, static_cast<off_t>(at_ + had));
    buffer_.resize(had + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && errno != EINTR) {
      return Fail(store::ErrnoError(errno, name_));
    }
    if (count == 0) {
      size_ = at_ + had;  // it was cut meanwhile
    }
  }
  return store::Ok();
}

void DeadLetterReader::Drop(size_t bytes) {
  taken_ += bytes;
  at_ += bytes;
}

Result<DeadLetterReader::Looked> DeadLetterReader::LookAt(size_t from) {
  RETURN_IF_ERROR(Fill(from + kHeaderBytesMax));
  Looked looked;
  std::string_view text = Bytes().substr(from, kHeaderBytesMax);
  size_t line_end = text.find('\n');
  if (line_end == std::string_view::npos) {
    size_t common = std::min(text.size(), kHeaderBegin.size());
    looked.cut_short =
        text.size() < kHeaderBytesMax && text.substr(0, common) == kHeaderBegin.substr(0, common);
    looked.wrong = looked.cut_short ? "the header is not whole" : "this is no header";
    return looked;
  }
  auto record = ParseHeader(text.substr(0, line_end));
  if (!record) {
    looked.wrong = "this is no header";
    return looked;
  }
  looked.begin = line_end + 1;
  uint64_t left = size_ - at_ - from - looked.begin;
  looked.wrong = "the record is not whole";
  if (record->bytes >= left) {
    looked.cut_short = true;
    return looked;
  }
  looked.size = looked.begin + record->bytes + 1;
  RETURN_IF_ERROR(Fill(from + looked.size));
  std::string_view rest = Bytes().substr(from + looked.begin);
  bool whole = rest.size() > record->bytes && rest[record->bytes] == '\n';
  if (whole && !HoldsAnotherRecord(rest.substr(0, record->bytes))) {
    looked.record = std::move(record);
  }
  return looked;
}

// To the next record that is whole, or to the end; the bytes on the way.
Result<uint64_t> DeadLetterReader::PassOver() {
  uint64_t begin = at_;
  size_t from = 1;
  while (true) {
    if (from >= kReadBytes) {
      Drop(from);
      from = 0;
    }
    RETURN_IF_ERROR(Fill(from + kHeaderBegin.size()));
    std::string_view bytes = Bytes();
    if (bytes.size() < from + kHeaderBegin.size()) {
      Drop(bytes.size());
      return at_ - begin;
    }
    size_t found = bytes.find(kHeaderBegin, from);
    if (found == std::string_view::npos) {
      from = bytes.size() - kHeaderBegin.size() + 1;
      continue;
    }
    auto looked = LookAt(found);
    RETURN_IF_ERROR(looked);
    if (looked->record) {
      Drop(found);
      return at_ - begin;
    }
    from = found + 1;
  }
}

Result<std::optional<DeadLetterRecord>> DeadLetterReader::Next() {
  RETURN_IF_ERROR(Fill(1));
  if (Bytes().empty()) {
    return std::nullopt;
  }
  auto looked = LookAt(0);
  RETURN_IF_ERROR(looked);
  if (!looked->record) {
    uint64_t begin = at_;
    auto bytes = PassOver();
    RETURN_IF_ERROR(bytes);
    torn_at_ = looked->cut_short && at_ == size_ ? std::optional(begin) : std::nullopt;
    return Fail(ErrorCode::kCorruption, fmt::format("{}: at byte {}: {}: {} bytes are passed over",
                                                    name_, begin, looked->wrong, *bytes));
  }
  looked->record->payload = Bytes().substr(looked->begin, looked->record->bytes);
  Drop(looked->size);
  return std::move(looked->record);
}

Result<bool> DeadLetterReader::EndsWhole() {
  bool whole = true;
  while (true) {
    auto record = Next();
    if (!record && record.error().code() != ErrorCode::kCorruption) {
      return Fail(record.error());
    }
    if (record && !*record) {
      return whole;
    }
    whole = record.has_value();
  }
}

// Nearly always the last bytes tell that there is nothing; only else all of them are read.
Result<std::optional<uint64_t>> DeadLetterReader::FindTorn(const Path& file) {
  auto reader = Open(file);
  RETURN_IF_ERROR(reader);
  reader->at_ = reader->size_ - std::min(reader->size_, kLastBytes);
  auto whole = reader->EndsWhole();
  RETURN_IF_ERROR(whole);
  if (*whole) {
    return std::nullopt;
  }
  reader = Open(file);
  RETURN_IF_ERROR(reader);
  RETURN_IF_ERROR(reader->EndsWhole());
  return reader->torn_at_;
}

Result<uint64_t> ForEachDeadLetter(const Path& file,
                                   absl::FunctionRef<Status(const DeadLetterRecord&)> take,
                                   absl::FunctionRef<void(const store::Error&)> on_damage) {
  auto reader = DeadLetterReader::Open(file);
  RETURN_IF_ERROR(reader);
  uint64_t damaged = 0;
  while (true) {
    auto record = reader->Next();
    if (!record && record.error().code() == ErrorCode::kCorruption) {
      ++damaged;
      on_damage(record.error());
      continue;
    }
    RETURN_IF_ERROR(record);
    if (!*record) {
      return damaged;
    }
    RETURN_IF_ERROR(take(**record));
  }
}

}  // namespace logagent
