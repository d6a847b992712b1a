// SPDX-License-Identifier: Apache-2.0
#include "store/base/log.h"

#include "store/base/file.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/base/temp_dir.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fcntl.h>
#include <limits>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace store {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

class FixedClock final : public Clock {
 public:
  TimePoint Now() const override { return now; }
  int64_t WallMicros() const override { return 1795222923456789; }
  TimePoint now{};
};

struct MemberTag {};
using MemberId = StrongInt<MemberTag, uint64_t>;

class LogTest : public ::testing::Test {
 protected:
  std::string LastLine() const { return sink_->lines().back(); }

  FixedClock clock_;
  std::shared_ptr<MemoryLogSink> sink_ = std::make_shared<MemoryLogSink>();
  Logger log_{sink_, clock_};
};

TEST_F(LogTest, LineHasTheShapeOfZap) {
  log_.Info("member \"a\" started", {{"member", MemberId(7)}, {"name", "infra1"}});
  std::string line = LastLine();
  EXPECT_TRUE(line.starts_with(R"({"level":"info","ts":"2026-11-21T01:02:03.456789Z",)"
                               R"("caller":"base/log_test.cc:)"))
      << line;
  EXPECT_TRUE(line.ends_with(R"(,"msg":"member \"a\" started","member":7,"name":"infra1"})"))
      << line;
}

TEST_F(LogTest, FieldsOfEveryKindBecomeJson) {
  std::string owned = "owned";
  log_.Warn("kinds", {{"bool", true},
                      {"int", -3},
                      {"big", std::numeric_limits<uint64_t>::max()},
                      {"real", 0.25},
                      {"infinite", std::numeric_limits<double>::infinity()},
                      {"string", owned},
                      {"list", std::vector<std::string>{"a", "b\n"}},
                      {"took", 1500us},
                      {"raw", RawJson{R"({"x":[1]})"}},
                      Error(ErrorCode::kIo, "read /x: broken")});
  Json json = Json::parse(LastLine());
  EXPECT_EQ(json["bool"], true);
  EXPECT_EQ(json["int"], -3);
  EXPECT_EQ(json["big"], std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(json["real"], 0.25);
  EXPECT_EQ(json["infinite"], "inf");
  EXPECT_EQ(json["string"], "owned");
  EXPECT_EQ(json["list"], (Json{"a", "b\n"}));
  EXPECT_EQ(json["took"], "1.5ms");
  EXPECT_EQ(json["raw"]["x"][0], 1);
  EXPECT_EQ(json["error"], "io: read /x: broken");
}

TEST_F(LogTest, DurationsReadAsInGo) {
  struct Case {
    Duration duration;
    const char* text;
  };
  for (const Case& c : {Case{0ns, "0s"}, Case{999ns, "999ns"}, Case{1500ns, "1.5µs"},
                        Case{250ms, "250ms"}, Case{-2s, "-2s"}, Case{90s, "1m30s"},
                        Case{3661s, "1h1m1s"}, Case{59'999'999'999ns, "59.999999999s"}}) {
    log_.Info("d", {{"d", c.duration}});
    EXPECT_EQ(Json::parse(LastLine())["d"], c.text);
  }
}

TEST_F(LogTest, EveryLineIsValidJsonWhateverTheBytes) {
  Random random = SeededRandom("log");
  for (int i = 0; i < 2000; ++i) {
    std::string text(random.Below(40), '\0');
    // Lead bytes of multi-byte sequences are the interesting ones.
    for (char& c : text) {
      c = static_cast<char>(random.Chance(0.5) ? random.Between(0x80, 0xff) : random.Below(0x80));
    }
    log_.Info(text, {{text, text}});
    ASSERT_TRUE(Json::accept(LastLine())) << LastLine();
    ASSERT_EQ(LastLine().find('\n'), std::string::npos);
  }
}

TEST_F(LogTest, ValidUtf8IsKept) {
  log_.Info("grüße 漢字 🙂");
  EXPECT_EQ(Json::parse(LastLine())["msg"], "grüße 漢字 🙂");
}

TEST_F(LogTest, LevelsFilterForAllCopies) {
  Logger copy = log_.With({{"part", "peer"}});
  copy.Debug("hidden");
  EXPECT_TRUE(sink_->lines().empty());
  log_.SetLevel(LogLevel::kDebug);
  copy.Debug("shown");
  EXPECT_EQ(Json::parse(LastLine())["part"], "peer");
  log_.SetLevel(LogLevel::kError);
  copy.Warn("hidden");
  EXPECT_EQ(sink_->lines().size(), 1u);
  copy.Fatal("last words");
  EXPECT_EQ(Json::parse(LastLine())["level"], "fatal");
}

TEST_F(LogTest, DefaultLoggerDropsEverything) {
  Logger none;
  none.With({{"a", 1}}).Error("nowhere");
  none.Flush();
  EXPECT_FALSE(none.Enabled(LogLevel::kFatal));
  EXPECT_EQ(none.dropped(), 0u);
}

TEST_F(LogTest, ConsoleLineIsTabSeparated) {
  Logger console(sink_, clock_, LogLevel::kInfo, LogFormat::kConsole);
  console.Info("two\nlines", {{"a", 1}, {"b", "x\ny"}});
  std::string line = LastLine();
  EXPECT_TRUE(line.starts_with("2026-11-21T01:02:03.456789Z\tinfo\tbase/log_test.cc:")) << line;
  EXPECT_TRUE(line.ends_with("\ttwo lines\t{\"a\":1,\"b\":\"x\\ny\"}")) << line;
}

TEST_F(LogTest, LevelNamesParse) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kWarn, LogLevel::kFatal}) {
    EXPECT_EQ(ParseLogLevel(Name(level)), level);
  }
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
}

TEST_F(LogTest, LogEveryAllowsOneLineInEachPeriodAndCountsTheRest) {
  LogEvery every(clock_, 60s, 2);
  EXPECT_EQ(every.Due("a"), 0u);
  EXPECT_EQ(every.Due("a"), std::nullopt);
  EXPECT_EQ(every.Due("a"), std::nullopt);
  EXPECT_EQ(every.Due("b"), 0u);
  // Beyond the limit of keys, new ones share one row.
  EXPECT_EQ(every.Due("c"), 0u);
  EXPECT_EQ(every.Due("d"), std::nullopt);
  clock_.now += 60s;
  EXPECT_EQ(every.Due("a"), 2u);
  EXPECT_EQ(every.Due("a"), std::nullopt);
}

TEST(OpenLogTest, WritesLinesToAFileInOrder) {
  TempDir dir;
  std::string path = dir.path() + "/log";
  SystemClock clock;
  {
    auto log = OpenLog({.outputs = {path}}, clock);
    ASSERT_TRUE(log);
    for (int i = 0; i < 100; ++i) log->Info("line", {{"i", i}});
  }
  std::string text = ReadFile(path).value();
  size_t position = 0;
  for (int i = 0; i < 100; ++i) {
    position = text.find(fmt::format("\"i\":{}}}\n", i), position);
    ASSERT_NE(position, std::string::npos) << i;
  }
}

TEST(OpenLogTest, UnusableOutputIsAnErrorThatNamesIt) {
  SystemClock clock;
  auto log = OpenLog({.outputs = {"/proc/no/such/file"}}, clock);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message().find("/proc/no/such/file"), std::string::npos);
}

TEST(OpenLogTest, SlowOutputDropsTheOldestAndNeverBlocksTheCaller) {
  TempDir dir;
  std::string path = dir.path() + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  UniqueFd reader(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  SystemClock clock;
  auto log = OpenLog({.outputs = {path}, .queue_lines_max = 8}, clock);
  ASSERT_TRUE(log);
  // Given: nobody reads, so that the pipe fills and the writing thread hangs.
  std::string payload(4096, 'x');
  TimePoint deadline = clock.Now() + 30s;
  while (log->dropped() < 100 && clock.Now() < deadline) log->Info(payload);
  ASSERT_GE(log->dropped(), 100u);
  log->Info("the newest line");
  // When: somebody reads again.
  std::string seen;
  std::string buffer(1 << 16, '\0');
  while (seen.find("the newest line") == std::string::npos && clock.Now() < deadline) {
    ssize_t n = ::read(reader.get(), buffer.data(), buffer.size());
    if (n > 0) seen.append(buffer, 0, static_cast<size_t>(n));
    if (n < 0) std::this_thread::yield();
  }
  // Then: the newest line was not the one that was dropped.
  EXPECT_NE(seen.find("the newest line"), std::string::npos);
}

TEST(OpenLogTest, ManyThreadsWriteWholeLines) {
  TempDir dir;
  std::string path = dir.path() + "/log";
  SystemClock clock;
  {
    auto log = OpenLog({.outputs = {path}, .queue_lines_max = 100000}, clock);
    ASSERT_TRUE(log);
    std::vector<Thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back("logger", [mine = log->With({{"thread", t}})] {
        for (int i = 0; i < 500; ++i) i % 50 == 0 ? mine.Error("line") : mine.Info("line");
      });
    }
  }
  std::string text = ReadFile(path).value();
  int lines = 0;
  for (size_t start = 0; start < text.size(); ++lines) {
    size_t end = text.find('\n', start);
    ASSERT_TRUE(Json::accept(text.substr(start, end - start)));
    start = end + 1;
  }
  EXPECT_EQ(lines, 2000);
}

}  // namespace
}  // namespace store
