// SPDX-License-Identifier: Apache-2.0
// Structured log. A Logger is a small value (a shared sink and fields of its own); whoever logs
// gets one through its constructor. A default Logger drops everything. The line is formatted on the
// calling thread and handed to the sink:
//
//   log.Info("member started", {{"member", id}, {"took", duration}});
//   {"level":"info","ts":"2026-11-21T01:02:03.456789Z","caller":"server/server.cc:12","msg":"…","member":7}
//
// The sink made by OpenLog writes on a thread of its own from a queue bounded in lines: when the
// output is slower than the program, the oldest waiting lines below error are dropped and counted;
// error and above are written by the caller. Any thread. Panic and Fatal only log: ending the
// process is main's business.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hash.h"
#include "store/base/strong_type.h"
#include "store/base/thread.h"

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace store {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError, kDPanic, kPanic, kFatal };
enum class LogFormat : uint8_t { kJson, kConsole };

std::string_view Name(LogLevel level);
std::optional<LogLevel> ParseLogLevel(std::string_view name);

// Text that is JSON already and is put into the line as it is.
struct RawJson {
  std::string text;
};

using FieldValue = std::variant<bool, int64_t, uint64_t, double, std::string_view, std::string,
                                std::vector<std::string>, Duration, RawJson>;

// One key and its value. Views must live until the end of the logging expression.
struct Field {
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, std::signed_integral auto v) : key(k), value(int64_t{v}) {}
  Field(std::string_view k, std::unsigned_integral auto v) : key(k), value(uint64_t{v}) {}
  Field(std::string_view k, double v) : key(k), value(v) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::vector<std::string> v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, Duration v) : key(k), value(v) {}
  Field(std::string_view k, RawJson v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, const Error& v) : key(k), value(v.ToString()) {}
  template <class Tag, class Rep>
  Field(std::string_view k, StrongInt<Tag, Rep> v) : Field(k, v.value()) {}
  // {error}: under the key "error".
  Field(const Error& v) : Field("error", v) {}

  std::string_view key;
  FieldValue value;
};

class LogSink {
 public:
  // One line without its newline. Any thread.
  virtual void Write(LogLevel level, std::string line) = 0;
  // Hands over what is queued; it may still be on its way to the device.
  virtual void Flush() = 0;
  // Lines lost because the output was too slow.
  virtual uint64_t dropped() const = 0;
  virtual ~LogSink() = default;
};

class Logger {
 public:
  using Fields = std::initializer_list<Field>;
  using Where = std::source_location;

  Logger() = default;
  // `clock` outlives all copies.
  Logger(std::shared_ptr<LogSink> sink, const Clock& clock, LogLevel level = LogLevel::kInfo,
         LogFormat format = LogFormat::kJson);

  // A logger that adds these fields to each line.
  Logger With(Fields fields) const;
  bool Enabled(LogLevel level) const;
  // For this logger and all its copies.
  void SetLevel(LogLevel level) const;
  void Flush() const;
  uint64_t dropped() const;

  void Log(LogLevel level, std::string_view message, Fields fields = {},
           Where where = Where::current()) const;
  void Debug(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kDebug, message, fields, where);
  }
  void Info(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kInfo, message, fields, where);
  }
  void Warn(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kWarn, message, fields, where);
  }
  void Error(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kError, message, fields, where);
  }
  void DPanic(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kDPanic, message, fields, where);
  }
  void Panic(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kPanic, message, fields, where);
  }
  void Fatal(std::string_view message, Fields fields = {}, Where where = Where::current()) const {
    Log(LogLevel::kFatal, message, fields, where);
  }

 private:
  struct Core {
    std::shared_ptr<LogSink> sink;
    const Clock* clock;
    std::atomic<LogLevel> level;
    LogFormat format;
  };
  std::shared_ptr<Core> core_;
  std::string fields_;  // `,"key":value` each, ready to be copied
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  // "stderr", "stdout", "default" (stderr) or the path of a file that is appended to.
  std::vector<std::string> outputs = {"stderr"};
  size_t queue_lines_max = 8192;
};
// `clock` outlives all copies of the logger.
Result<Logger> OpenLog(const LogOptions& options, const Clock& clock);
Result<Logger> OpenLog(const LogOptions& options, const Clock&& temporary) = delete;

// Keeps lines for tests.
class MemoryLogSink final : public LogSink {
 public:
  void Write(LogLevel level, std::string line) override;
  void Flush() override {}
  uint64_t dropped() const override { return 0; }

  std::vector<std::string> lines() const;
  // Lines that contain `part`.
  size_t Count(std::string_view part) const;
  // Waits until some line contains `part`; false at the deadline.
  bool WaitFor(std::string_view part, Duration timeout = std::chrono::seconds(10)) const;

 private:
  size_t CountLocked(std::string_view part) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  mutable CondVar written_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

// Keeps repeated events from filling the log: each key at most once in `period`. Bounded by
// `keys_max`: when more keys are live, new ones share one. Any thread.
//
//   if (auto quiet = refused_.Due(peer)) log_.Warn("refused a peer", {{"peer", peer},
//   {"suppressed", *quiet}});
class LogEvery {
 public:
  explicit LogEvery(const Clock& clock, Duration period = std::chrono::minutes(1),
                    size_t keys_max = 1024)
      : clock_(clock), period_(period), keys_max_(keys_max) {}

  // If the key may be logged now: how many times it could not since its last line.
  std::optional<uint64_t> Due(std::string_view key);

 private:
  struct Row {
    TimePoint next;
    uint64_t suppressed = 0;
  };
  Row* FindRow(std::string_view key, TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const Duration period_;
  const size_t keys_max_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, Row, BytesHash, BytesEq> rows_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace store
