// SPDX-License-Identifier: Apache-2.0
#include "store/base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

namespace store {
namespace {

constexpr std::array<std::string_view, 7> kLevelNames = {"debug",  "info",  "warn", "error",
                                                         "dpanic", "panic", "fatal"};

// Length of the well-formed UTF-8 sequence at the front of `text`; 0 if there is none.
size_t Utf8Length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc2 ? 2 : 0;
  if (length == 0 || byte(0) > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies above U+10FFFF.
  if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;
  if (byte(0) == 0xed && byte(1) > 0x9f) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

void AppendEscaped(std::string* out, unsigned char byte) {
  switch (byte) {
    case '"':
      *out += "\\\"";
      break;
    case '\\':
      *out += "\\\\";
      break;
    case '\n':
      *out += "\\n";
      break;
    case '\r':
      *out += "\\r";
      break;
    case '\t':
      *out += "\\t";
      break;
    default:
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", byte);
  }
}

// A JSON string. Keys and values of users reach the log: bytes that are no UTF-8 become U+FFFD, so
// that each line stays valid JSON.
void AppendJsonString(std::string* out, std::string_view text) {
  out->push_back('"');
  while (!text.empty()) {
    auto byte = static_cast<unsigned char>(text.front());
    size_t length = 1;
    if (byte >= 0x80) {
      length = Utf8Length(text);
      *out += length > 0 ? text.substr(0, length) : std::string_view("\\ufffd");
      length = std::max<size_t>(length, 1);
    } else if (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f) {
      AppendEscaped(out, byte);
    } else {
      out->push_back(text.front());
    }
    text.remove_prefix(length);
  }
  out->push_back('"');
}

// As Go prints durations: "1.5s", "250ms", "0s".
std::string GoDuration(Duration duration) {
  int64_t nanos = duration.count();
  if (nanos == 0) return "0s";
  double value = static_cast<double>(nanos);
  double magnitude = std::abs(value);
  if (magnitude < 1e3) return fmt::format("{}ns", nanos);
  if (magnitude < 1e6) return fmt::format("{:.10g}µs", value / 1e3);
  if (magnitude < 1e9) return fmt::format("{:.10g}ms", value / 1e6);
  if (magnitude < 60e9) return fmt::format("{:.12g}s", value / 1e9);
  int64_t minutes = std::abs(nanos / 60'000'000'000);
  double seconds = static_cast<double>(std::abs(nanos % 60'000'000'000)) / 1e9;
  std::string hours = minutes >= 60 ? fmt::format("{}h", minutes / 60) : "";
  return fmt::format("{}{}{}m{:.12g}s", nanos < 0 ? "-" : "", hours, minutes % 60, seconds);
}

struct ValueWriter {
  std::string* out;

  void operator()(bool value) const { *out += value ? "true" : "false"; }
  void operator()(int64_t value) const { fmt::format_to(std::back_inserter(*out), "{}", value); }
  void operator()(uint64_t value) const { fmt::format_to(std::back_inserter(*out), "{}", value); }
  void operator()(double value) const {
    // JSON has no infinities; zap writes them as strings.
    std::string_view quote = std::isfinite(value) ? "" : "\"";
    fmt::format_to(std::back_inserter(*out), "{0}{1}{0}", quote, value);
  }
  void operator()(std::string_view value) const { AppendJsonString(out, value); }
  void operator()(const std::string& value) const { AppendJsonString(out, value); }
  void operator()(Duration value) const { AppendJsonString(out, GoDuration(value)); }
  void operator()(const RawJson& value) const { *out += value.text; }
  void operator()(const std::vector<std::string>& values) const {
    out->push_back('[');
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out->push_back(',');
      AppendJsonString(out, values[i]);
    }
    out->push_back(']');
  }
};

void AppendField(std::string* out, const Field& field) {
  out->push_back(',');
  AppendJsonString(out, field.key);
  out->push_back(':');
  std::visit(ValueWriter{out}, field.value);
}

// RFC 3339 in UTC with microseconds.
void AppendTime(std::string* out, int64_t wall_micros) {
  int64_t seconds = wall_micros / 1'000'000;
  fmt::format_to(std::back_inserter(*out), "{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                 fmt::gmtime(static_cast<std::time_t>(seconds)), wall_micros % 1'000'000);
}

// The last folder and the file, as zap shows the package: "server/server.cc:12".
void AppendCaller(std::string* out, const std::source_location& where) {
  std::string_view file = where.file_name();
  size_t slash = file.rfind('/');
  if (slash != std::string_view::npos && slash > 0) slash = file.rfind('/', slash - 1);
  if (slash != std::string_view::npos) file.remove_prefix(slash + 1);
  fmt::format_to(std::back_inserter(*out), "{}:{}", file, where.line());
}

struct LineParts {
  LogLevel level;
  int64_t wall_micros;
  std::source_location where;
  std::string_view message;
  std::string_view own_fields;  // as Logger::fields_
  Logger::Fields fields;
};

std::string JsonLine(const LineParts& parts) {
  std::string line;
  line.reserve(256);
  line += R"({"level":")";
  line += Name(parts.level);
  line += R"(","ts":")";
  AppendTime(&line, parts.wall_micros);
  line += R"(","caller":")";
  AppendCaller(&line, parts.where);
  line += R"(","msg":)";
  AppendJsonString(&line, parts.message);
  line += parts.own_fields;
  for (const Field& field : parts.fields) AppendField(&line, field);
  line.push_back('}');
  return line;
}

std::string ConsoleLine(const LineParts& parts) {
  std::string line;
  line.reserve(256);
  AppendTime(&line, parts.wall_micros);
  line.push_back('\t');
  line += Name(parts.level);
  line.push_back('\t');
  AppendCaller(&line, parts.where);
  line.push_back('\t');
  line += parts.message;
  std::string fields(parts.own_fields);
  for (const Field& field : parts.fields) AppendField(&fields, field);
  if (!fields.empty()) {
    fields.front() = '{';
    line.push_back('\t');
    line += fields;
    line.push_back('}');
  }
  // One event is one line; the fields are escaped already.
  std::ranges::replace(line, '\n', ' ');
  return line;
}

}  // namespace

std::string_view Name(LogLevel level) { return kLevelNames[static_cast<size_t>(level)]; }

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  const auto* row = std::ranges::find(kLevelNames, name);
  if (row == kLevelNames.end()) return std::nullopt;
  return static_cast<LogLevel>(row - kLevelNames.begin());
}

Logger::Logger(std::shared_ptr<LogSink> sink, const Clock& clock, LogLevel level, LogFormat format)
    : core_(std::make_shared<Core>(std::move(sink), &clock, level, format)) {}

Logger Logger::With(Fields fields) const {
  Logger logger = *this;
  for (const Field& field : fields) AppendField(&logger.fields_, field);
  return logger;
}

bool Logger::Enabled(LogLevel level) const {
  return core_ && level >= core_->level.load(std::memory_order_relaxed);
}

void Logger::SetLevel(LogLevel level) const {
  if (core_) core_->level.store(level, std::memory_order_relaxed);
}

void Logger::Flush() const {
  if (core_) core_->sink->Flush();
}

uint64_t Logger::dropped() const { return core_ ? core_->sink->dropped() : 0; }

void Logger::Log(LogLevel level, std::string_view message, Fields fields, Where where) const {
  if (!Enabled(level)) return;
  LineParts parts{level, core_->clock->WallMicros(), where, message, fields_, fields};
  core_->sink->Write(level,
                     core_->format == LogFormat::kJson ? JsonLine(parts) : ConsoleLine(parts));
}

void MemoryLogSink::Write(LogLevel, std::string line) {
  MutexLock lock(mutex_);
  lines_.push_back(std::move(line));
  written_.NotifyAll();
}

std::vector<std::string> MemoryLogSink::lines() const {
  MutexLock lock(mutex_);
  return lines_;
}

size_t MemoryLogSink::Count(std::string_view part) const {
  MutexLock lock(mutex_);
  return CountLocked(part);
}

size_t MemoryLogSink::CountLocked(std::string_view part) const {
  auto matches = std::ranges::count_if(
      lines_, [&](const std::string& line) { return line.find(part) != std::string::npos; });
  return static_cast<size_t>(matches);
}

bool MemoryLogSink::WaitFor(std::string_view part, Duration timeout) const {
  TimePoint deadline = SystemClock().Now() + timeout;
  MutexLock lock(mutex_);
  while (CountLocked(part) == 0) {
    if (!written_.WaitUntil(mutex_, deadline)) return CountLocked(part) > 0;
  }
  return true;
}

std::optional<uint64_t> LogEvery::Due(std::string_view key) {
  TimePoint now = clock_.Now();
  MutexLock lock(mutex_);
  Row* row = FindRow(key, now);
  if (now < row->next) {
    ++row->suppressed;
    return std::nullopt;
  }
  row->next = now + period_;
  return std::exchange(row->suppressed, 0);
}

LogEvery::Row* LogEvery::FindRow(std::string_view key, TimePoint now) {
  auto found = rows_.find(key);
  if (found != rows_.end()) return &found->second;
  if (rows_.size() >= keys_max_) {
    absl::erase_if(rows_, [&](const auto& row) { return row.second.next <= now; });
  }
  if (rows_.size() >= keys_max_) key = "";
  return &rows_.try_emplace(std::string(key), Row{now, 0}).first->second;
}

}  // namespace store
