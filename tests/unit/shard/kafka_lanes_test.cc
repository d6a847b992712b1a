// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_lanes.h"

#include "store/base/random.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/shard/kafka_rig.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace logagent {
namespace {

constexpr int kLineBytes = 1000;  // of the hot file, with its newline

// One partition, so that a consumer sees in which order the lines were written.
class Lanes : public ::testing::Test {
 protected:
  Lanes() : hot_((dir_ / "hot.log").string()), quiet_((dir_ / "quiet.log").string()) {
    cluster_.Create("one", 1);
  }
  ~Lanes() override { SetRoundTrip(0); }

  void SetRoundTrip(int ms) { rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, ms); }
  static std::string HotLine(int i) {
    std::string line = fmt::format("hot {} ", i);
    line.resize(kLineBytes - 1, 'x');
    return line;
  }
  void AppendHot(int lines) {
    std::string bytes;
    for (int i = 0; i < lines; ++i) {
      bytes += HotLine(hot_lines_++) + "\n";
    }
    Append(hot_, bytes);
  }
  // All of `lines` that the entry ever had are read and answered.
  static bool UntilDelivered(DataPath& agent, EntryId id, int lines) {
    return WaitUntil([&] { return agent.Stats(id).lines == static_cast<uint64_t>(lines); }) &&
           agent.UntilAcked(id);
  }
  void MakeBacklog(DataPath& agent) {
    SetRoundTrip(100);
    AppendHot(20'000);
    ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().producers == 1 + kBacklogLanes; }));
  }

  TempDir dir_;
  MockCluster cluster_;
  const std::string hot_;
  const std::string quiet_;
  int hot_lines_ = 0;
};

TEST_F(Lanes, LineOfAQuietFileIsWrittenBeforeWhatWaitsOfABacklog) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(hot_, "one");
  EntryId quiet = agent.Start(quiet_, "one");
  Append(quiet_, "first\n");
  ASSERT_TRUE(UntilDelivered(agent, quiet, 1));
  MakeBacklog(agent);
  // What it had in flight by the live lane is answered, and a backlog lane has taken more.
  uint64_t lines = agent.Stats(hot).lines;
  ASSERT_TRUE(WaitUntil([&] { return agent.Stats(hot).lines >= lines + 5'000; }));
  SetRoundTrip(1000);
  lines = agent.Stats(hot).lines;
  ASSERT_TRUE(WaitUntil([&] { return agent.Stats(hot).lines > lines; }));
  Append(quiet_, "second\n");
  EntryStats before = agent.Stats(hot);
  uint64_t written = static_cast<uint64_t>(hot_lines_) - before.lag_bytes / kLineBytes;
  ASSERT_TRUE(UntilDelivered(agent, quiet, 2));
  SetRoundTrip(0);
  Consumer consumer(cluster_.bootstraps(), "one", 1);
  ASSERT_TRUE(consumer.UntilLines(static_cast<size_t>(hot_lines_) + 2));
  auto at = std::ranges::find(consumer.lines(), "second");
  ASSERT_NE(at, consumer.lines().end());
  auto position = static_cast<uint64_t>(at - consumer.lines().begin());
  // One batch on its way and one that may have gone meanwhile; by one producer it would be all that
  // is queued for the partition, two batches and a half.
  EXPECT_LT(position, written + 2'300) << "of " << hot_lines_;
}

TEST_F(Lanes, FileThatBecomesABacklogAndLiveAgainKeepsItsOrder) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(hot_, "one");
  AppendHot(10);
  ASSERT_TRUE(UntilDelivered(agent, hot, 10));
  MakeBacklog(agent);
  ASSERT_TRUE(WaitUntil([&] { return agent.Stats(hot).lines == 20'010; }));
  // Now live, while what was read of the backlog is still on its way.
  for (int i = 0; i < 50; ++i) {
    AppendHot(1);
    ASSERT_TRUE(
        WaitUntil([&] { return agent.Stats(hot).lines == static_cast<uint64_t>(hot_lines_); }));
  }
  SetRoundTrip(0);
  ASSERT_TRUE(UntilDelivered(agent, hot, hot_lines_));
  Consumer consumer(cluster_.bootstraps(), "one", 1);
  ASSERT_TRUE(consumer.UntilLines(static_cast<size_t>(hot_lines_)));
  consumer.Settle();
  ASSERT_EQ(consumer.lines().size(), static_cast<size_t>(hot_lines_));
  for (int i = 0; i < hot_lines_; ++i) {
    ASSERT_EQ(consumer.lines()[static_cast<size_t>(i)], HotLine(i));
  }
}

TEST_F(Lanes, BacklogsShareAConnectionWhileThereAreNewLines) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  cluster_.Create("two", 2);
  PosixFileSystem files;
  std::map<uint64_t, std::string> hot;  // by the backlog lane they have while nothing is new
  for (int i = 0; hot.size() < kBacklogLanes; ++i) {
    std::string path = (dir_ / fmt::format("hot{}.log", i)).string();
    Append(path, "first\n");
    hot.try_emplace(files.StatPath(path)->inode % kBacklogLanes, path);
  }
  std::vector<EntryId> entries;
  entries.reserve(hot.size());
  for (const auto& [lane, path] : hot) {
    entries.push_back(agent.Start(path, "two"));
  }
  EntryId quiet = agent.Start(quiet_, "two");
  SetRoundTrip(100);
  std::string lines;
  for (int i = 0; i < 40'000; ++i) {
    lines += HotLine(i) + "\n";
  }
  for (const auto& [lane, path] : hot) {
    Append(path, lines);
  }
  ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().producers_busy == kBacklogLanes; }));
  for (int i = 0; i < 8; ++i) {
    Append(quiet_, "new\n");
    ASSERT_TRUE(UntilDelivered(agent, quiet, i + 1));
  }
  EXPECT_TRUE(WaitUntil([&] { return agent.sink().Stats().producers_busy == 1; }));
  for (EntryId id : entries) {
    EXPECT_GT(agent.Stats(id).lag_bytes, 1'000'000U) << "it is not done";
  }
}

TEST_F(Lanes, FatalErrorOfBacklogProducersIsSurvivedWithoutAGap) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(hot_, "one");
  MakeBacklog(agent);
  uint64_t lines = agent.Stats(hot).lines;
  ASSERT_TRUE(WaitUntil([&] { return agent.Stats(hot).lines >= lines + 5'000; }));
  agent.sink().InjectFatalError(/*backlog=*/true);
  ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().rebuilds == kBacklogLanes; }));
  SetRoundTrip(0);
  ASSERT_TRUE(agent.UntilAcked(hot));
  Consumer consumer(cluster_.bootstraps(), "one", 1);
  ASSERT_TRUE(consumer.Until([&] { return consumer.Counts().size() == 20'000; }));
}

TEST_F(Lanes, WithoutDescriptorsForThemAllGoesByTheFirstProducer) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20,
                 /*backlog_lanes=*/0);
  EntryId hot = agent.Start(hot_, "one");
  SetRoundTrip(50);
  AppendHot(5'000);
  ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().queued_bytes > 1'000'000; }));
  ASSERT_TRUE(UntilDelivered(agent, hot, 5'000));
  EXPECT_EQ(agent.sink().Stats().producers, 1U);
}

TEST_F(Lanes, BacklogProducersGoWhenNothingNeedsThem) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(hot_, "one");
  MakeBacklog(agent);
  SetRoundTrip(0);
  ASSERT_TRUE(UntilDelivered(agent, hot, 20'000));
  EXPECT_EQ(agent.sink().Stats().producers, 1 + kBacklogLanes);
  agent.clock().Advance(kLaneIdle);
  ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().producers == 1; }));
  EXPECT_EQ(agent.sink().Stats().lines_delivered, 20'000U) << "its counters stay";
  MakeBacklog(agent);
  SetRoundTrip(0);
  ASSERT_TRUE(UntilDelivered(agent, hot, 40'000));
  EXPECT_EQ(agent.sink().Stats().lines_delivered, 40'000U);
}

// Lines as something encoded has them: they do not compress.
class RawLanes : public Lanes {
 protected:
  void AppendEncoded(int lines) {
    constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    for (int i = 0; i < lines; ++i) {
      std::string line = fmt::format("hot {} ", hot_lines_++);
      while (line.size() < kLineBytes - 1) {
        line.push_back(kLetters[random_.Below(kLetters.size())]);
      }
      written_.push_back(line);
      bytes += line + "\n";
    }
    Append(hot_, bytes);
  }
  void AppendText(int lines) {
    for (int i = 0; i < lines; ++i) {
      written_.push_back(HotLine(hot_lines_ + i));
    }
    AppendHot(lines);
  }
  // One large batch after the other, until one has gone by a lane that does not compress. The mock
  // keeps 5 MiB of a partition, so not more than that.
  bool UntilRaw(DataPath& agent) {
    const uint64_t before = agent.sink().Stats().raw_bytes;
    for (int i = 0; i < 20 && agent.sink().Stats().raw_bytes == before; ++i) {
      AppendEncoded(200);
      const uint64_t lines = static_cast<uint64_t>(hot_lines_);
      WaitUntil([&] { return agent.sink().Stats().lines_delivered == lines; });
    }
    return agent.sink().Stats().raw_bytes > before;
  }

  store::Random random_ = store::SeededRandom("encoded lines");
  std::vector<std::string> written_;
};

TEST_F(RawLanes, LinesThatDoNotCompressGoAsTheyAreAndInTheirOrder) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(hot_, "one");
  SetRoundTrip(50);
  AppendText(20'000);
  ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().producers == 1 + kBacklogLanes; }));
  ASSERT_TRUE(UntilDelivered(agent, hot, 20'000));
  EXPECT_EQ(agent.sink().Stats().raw_bytes, 0U) << "text compresses";
  Consumer consumer(cluster_.bootstraps(), "one", 1);
  ASSERT_TRUE(UntilRaw(agent));
  ASSERT_TRUE(consumer.UntilLines(written_.size()));
  EXPECT_EQ(agent.sink().Stats().producers, 1 + 2 * kBacklogLanes);
  // The sample speaks for 16 MiB; they are read as they come, for the mock keeps 5 of them.
  for (int i = 0; i < 20; ++i) {
    AppendText(1'000);
    ASSERT_TRUE(UntilDelivered(agent, hot, hot_lines_));
    ASSERT_TRUE(consumer.UntilLines(written_.size()));
  }
  const uint64_t raw = agent.sink().Stats().raw_bytes;
  AppendText(1'000);
  ASSERT_TRUE(UntilDelivered(agent, hot, hot_lines_));
  EXPECT_EQ(agent.sink().Stats().raw_bytes, raw) << "text again";
  SetRoundTrip(0);
  ASSERT_TRUE(consumer.UntilLines(written_.size()));
  consumer.Settle();
  EXPECT_TRUE(consumer.lines() == written_) << consumer.lines().size();
}

// All files wait for one partition, most of them with nothing in flight, and are offered again with
// each answer.
TEST_F(RawLanes, AFileThatWaitsIsNotSampledAgain) {
  constexpr int kFiles = 20;
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId all = agent.Start((dir_ / "many*.log").string(), "one");
  SetRoundTrip(50);
  std::string bytes;
  for (int i = 0; i < 1'000; ++i) {
    bytes += HotLine(i) + "\n";
  }
  for (int i = 0; i < kFiles; ++i) {
    Append((dir_ / fmt::format("many{}.log", i)).string(), bytes);
  }
  ASSERT_TRUE(UntilDelivered(agent, all, kFiles * 1'000));
  EXPECT_GT(agent.sink().Stats().samples, 0U);
  EXPECT_LE(agent.sink().Stats().samples, uint64_t{kFiles});
}

TEST_F(RawLanes, AreNotUsedWhereCompressionIsWantedAlwaysOrIsNone) {
  KafkaConfig always;
  always.compress_always = true;
  KafkaConfig none;
  none.properties["compression.codec"] = "none";
  KafkaConfig entropy;
  entropy.properties["compression.codec"] = "gzip";
  for (const KafkaConfig& config : {always, none, entropy}) {
    const TempDir state;
    DataPath agent(state.path(), cluster_.bootstraps(), config, DataPath::Quick(), 64 << 20);
    EntryId hot = agent.Start(hot_, "one");
    SetRoundTrip(50);
    const int before = hot_lines_;
    AppendEncoded(4'000);
    ASSERT_TRUE(UntilDelivered(agent, hot, hot_lines_ - before));
    EXPECT_LE(agent.sink().Stats().producers, 1 + kBacklogLanes);
    EXPECT_EQ(agent.sink().Stats().raw_bytes, 0U);
    SetRoundTrip(0);
  }
}

}  // namespace
}  // namespace logagent
