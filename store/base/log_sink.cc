// SPDX-License-Identifier: Apache-2.0
// The outputs behind log.h; the only file that includes spdlog.
#include "store/base/log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <utility>

namespace store {
namespace {

class SpdlogSink final : public LogSink {
 public:
  SpdlogSink(std::vector<spdlog::sink_ptr> outputs, size_t queue_lines_max)
      : pool_(std::make_shared<spdlog::details::thread_pool>(queue_lines_max, 1)),
        queued_(
            std::make_shared<spdlog::async_logger>("log", outputs.begin(), outputs.end(), pool_,
                                                   spdlog::async_overflow_policy::overrun_oldest)),
        direct_(std::make_shared<spdlog::logger>("log", outputs.begin(), outputs.end())) {
    // The line comes complete from log.cc.
    for (spdlog::sink_ptr& output : outputs) output->set_pattern("%v");
    queued_->set_level(spdlog::level::trace);
    direct_->set_level(spdlog::level::trace);
    direct_->flush_on(spdlog::level::trace);
    // Someone who follows a file or a pipe sees each line at once; the queue takes the cost off the
    // callers.
    queued_->flush_on(spdlog::level::trace);
  }

  void Write(LogLevel level, std::string line) override {
    // What explains a failure must not wait in a queue that dies with the process.
    bool critical = level >= LogLevel::kError;
    spdlog::logger& logger = critical ? *direct_ : static_cast<spdlog::logger&>(*queued_);
    logger.log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

  void Flush() override { queued_->flush(); }
  uint64_t dropped() const override { return pool_->overrun_counter(); }

 private:
  std::shared_ptr<spdlog::details::thread_pool> pool_;  // its destructor writes what is queued
  std::shared_ptr<spdlog::async_logger> queued_;
  std::shared_ptr<spdlog::logger> direct_;
};

spdlog::sink_ptr MakeOutput(const std::string& output) {
  if (output == "stdout") return std::make_shared<spdlog::sinks::stdout_sink_mt>();
  if (output == "stderr" || output == "default") {
    return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  return std::make_shared<spdlog::sinks::basic_file_sink_mt>(output);
}

}  // namespace

Result<Logger> OpenLog(const LogOptions& options, const Clock& clock) {
  std::vector<spdlog::sink_ptr> outputs;
  for (const std::string& output : options.outputs) {
    try {
      outputs.push_back(MakeOutput(output));
    } catch (const spdlog::spdlog_ex& e) {
      return Fail(ErrorCode::kIo, fmt::format("log output {}: {}", output, e.what()));
    }
  }
  auto sink = std::make_shared<SpdlogSink>(std::move(outputs), options.queue_lines_max);
  return Logger(std::move(sink), clock, options.level, options.format);
}

}  // namespace store
