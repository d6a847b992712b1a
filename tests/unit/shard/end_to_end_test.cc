// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/shard/kafka_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <string>

namespace logagent {
namespace {

using ::testing::ElementsAre;

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

class EndToEnd : public ::testing::Test {
 protected:
  EndToEnd() { cluster_.Create("web", 4); }

  std::string Log() const { return (dir_ / "web.log").string(); }
  static std::string Line(int i) { return "line-" + std::to_string(i); }
  void Write(const Path& path, int from, int to) {
    std::string bytes;
    for (int i = from; i < to; ++i) {
      bytes += Line(i) + "\n";
    }
    Append(path, bytes);
  }
  // Every number of [0, count) is there; repeats are counted, not refused.
  static size_t Missing(const Consumer& consumer, int count) {
    auto counts = consumer.Counts();
    size_t missing = 0;
    for (int i = 0; i < count; ++i) {
      missing += counts.contains(Line(i)) ? 0 : 1;
    }
    return missing;
  }

  TempDir dir_;
  MockCluster cluster_;
};

TEST_F(EndToEnd, LinesArriveByteForByteAndInOrder) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  Append(Log(), "old\n");
  EntryId id = agent.Start(Log(), "web");
  Append(Log(), "one\r\n\ntwo ");
  Append(Log(), std::string("\0x\n", 3));
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(3));
  EXPECT_THAT(consumer.lines(), ElementsAre("one\r", "", std::string("two \0x", 6)));
  EXPECT_TRUE(agent.UntilAcked(id));
  EXPECT_EQ(agent.Stats(id).state, EntryState::kRunning);
}

TEST_F(EndToEnd, FileCreatedAfterTheEntryIsReadFromItsBeginning) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId id = agent.Start((dir_ / "sub/*.log").string(), "web");
  EXPECT_TRUE(agent.UntilState(id, EntryState::kNoMatch));
  std::filesystem::create_directory(dir_ / "sub");
  Write(dir_ / "sub/a.log", 0, 10);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(10));
  EXPECT_EQ(Missing(consumer, 10), 0U);
}

TEST_F(EndToEnd, CleanRestartRepeatsNothing) {
  {
    DataPath agent(dir_.path(), cluster_.bootstraps());
    agent.Start(Log(), "web");
    Write(Log(), 0, 1000);
    Consumer consumer(cluster_.bootstraps(), "web", 4);
    ASSERT_TRUE(consumer.UntilLines(1000));
    agent.StopClean();
  }
  Write(Log(), 1000, 1500);
  DataPath agent(dir_.path(), cluster_.bootstraps());
  agent.Start(Log(), "web");
  Write(Log(), 1500, 2000);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(2000));
  consumer.Settle();
  EXPECT_EQ(consumer.lines().size(), 2000U);
  EXPECT_EQ(Missing(consumer, 2000), 0U);
}

TEST_F(EndToEnd, RotationWhileItRunsLosesNothing) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId id = agent.Start(Log(), "web");
  for (int round = 0; round < 10; ++round) {
    Write(Log(), round * 100, round * 100 + 100);
    ASSERT_TRUE(WaitUntil(
        [&] { return agent.Stats(id).files_opened == static_cast<uint64_t>(round) + 1; }));
    std::filesystem::rename(Log(), dir_ / ("web.log." + std::to_string(round)));
    // The writer still has the old file for a moment.
    Write(dir_ / ("web.log." + std::to_string(round)), 1000 + round * 10, 1010 + round * 10);
  }
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.Until([&] { return Missing(consumer, 1100) == 0; }))
      << Missing(consumer, 1100);
  EXPECT_EQ(consumer.lines().size(), 1100U);
}

TEST_F(EndToEnd, DeletedFileIsDrainedWithItsLastLineAndClosed) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId id = agent.Start(Log(), "web");
  Append(Log(), "first\nlast without newline");
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(1));
  std::filesystem::remove(Log());
  ASSERT_TRUE(consumer.UntilLines(2));
  EXPECT_EQ(consumer.lines()[1], "last without newline");
  EXPECT_TRUE(agent.UntilState(id, EntryState::kNoMatch));
  EXPECT_TRUE(
      WaitUntil([&] { return agent.checkpointer().RowsOf(EntryKey(Log(), "web")).empty(); }));
}

TEST_F(EndToEnd, TruncatedFileBeginsAnew) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  agent.Start(Log(), "web");
  Append(Log(), "aaaaaaaa\nbbbbbbbb\n");
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(2));
  std::filesystem::resize_file(Log(), 0);
  Append(Log(), "cc\n");
  ASSERT_TRUE(consumer.UntilLines(3));
  // Grown beyond the old size before anybody looked: the tail mark tells.
  std::string longer(200, 'd');
  std::filesystem::resize_file(Log(), 0);
  Append(Log(), longer + "\n" + longer + "\n");
  ASSERT_TRUE(consumer.UntilLines(5));
  EXPECT_THAT(consumer.lines(), ElementsAre("aaaaaaaa", "bbbbbbbb", "cc", longer, longer));
}

TEST_F(EndToEnd, KilledWithoutAWordLosesNothingAndRepeatsLittle) {
  int written = 0;
  for (int life = 0; life < 5; ++life) {
    DataPath agent(dir_.path(), cluster_.bootstraps());
    agent.Start(Log(), "web");
    Write(Log(), written, written + 2000);
    written += 2000;
    Consumer consumer(cluster_.bootstraps(), "web", 4);
    ASSERT_TRUE(consumer.Until([&] { return Missing(consumer, written) < 1500; }));
    std::filesystem::rename(Log(), dir_ / ("web.log." + std::to_string(life)));
    agent.Drop();
  }
  DataPath agent(dir_.path(), cluster_.bootstraps());
  agent.Start(Log(), "web");
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.Until([&] { return Missing(consumer, written) == 0; }))
      << Missing(consumer, written);
  consumer.Settle();
  std::printf("%zu lines for %d written\n", consumer.lines().size(), written);
}

TEST_F(EndToEnd, TopicChangesAtALineBoundaryAndTheFileStaysOpen) {
  cluster_.Create("other", 4);
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId id = agent.Start(Log(), "web");
  Write(Log(), 0, 100);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(100));
  std::atomic<bool> changed = false;
  agent.shard().ChangeTopic(id, "other", [&] { changed = true; });
  ASSERT_TRUE(WaitUntil([&] { return changed.load(); }));
  Write(Log(), 100, 200);
  Consumer other(cluster_.bootstraps(), "other", 4);
  ASSERT_TRUE(other.UntilLines(100));
  EXPECT_EQ(other.lines().front(), Line(100));
  EXPECT_EQ(agent.Stats(id).files_opened, 1U);
  EXPECT_TRUE(agent.checkpointer().Applied(EntryKey(Log(), "other")));
  EXPECT_EQ(agent.checkpointer().RowsOf(EntryKey(Log(), "web")).size(), 0U);
}

TEST_F(EndToEnd, StoppedEntryReadsNoMoreAndGoesOnWhenItComesBack) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId id = agent.Start(Log(), "web");
  Write(Log(), 0, 100);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(100));
  std::atomic<bool> stopped = false;
  agent.shard().StopEntry(id, std::chrono::seconds(5), [&] { stopped = true; });
  ASSERT_TRUE(WaitUntil([&] { return stopped.load(); }));
  Write(Log(), 100, 200);
  agent.Start(Log(), "web");
  ASSERT_TRUE(consumer.UntilLines(200));
  consumer.Settle();
  EXPECT_EQ(consumer.lines().size(), 200U);
}

TEST_F(EndToEnd, LineAboveTheLimitGoesToTheSpoolAndTheNextOneArrives) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId id = agent.Start(Log(), "web", 1000);
  Append(Log(), "short\n" + std::string(5000, 'x') + "\nnext\n" + std::string(900'000, 'y'));
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(2));
  Append(Log(), "y\nlast\n");
  ASSERT_TRUE(consumer.UntilLines(3));
  EXPECT_THAT(consumer.lines(), ElementsAre("short", "next", "last"));
  EXPECT_TRUE(agent.UntilAcked(id));
  EXPECT_EQ(agent.Stats(id).lines_dead, 2U);
  EXPECT_GT(agent.spool().size_bytes(), 905'000U);
}

TEST_F(EndToEnd, FatalProducerErrorIsSurvivedWithoutAGap) {
  DataPath agent(dir_.path(), cluster_.bootstraps());
  agent.Start(Log(), "web");
  for (int round = 0; round < 3; ++round) {
    Write(Log(), round * 1000, round * 1000 + 1000);
    agent.sink().InjectFatalError();
    EXPECT_TRUE(WaitUntil(
        [&] { return agent.sink().Stats().rebuilds == static_cast<uint64_t>(round) + 1; }));
  }
  Write(Log(), 3000, 4000);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.Until([&] { return Missing(consumer, 4000) == 0; }))
      << Missing(consumer, 4000);
}

TEST_F(EndToEnd, TopicThatCannotBeWrittenPausesItsEntryOnly) {
  cluster_.Create("denied", 4);
  rd_kafka_mock_topic_set_error(cluster_.get(), "denied",
                                RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  DataPath agent(dir_.path(), cluster_.bootstraps());
  EntryId denied = agent.Start((dir_ / "denied.log").string(), "denied");
  agent.Start(Log(), "web");
  Write(dir_ / "denied.log", 0, 10);
  Write(Log(), 0, 10);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(10));
  ASSERT_TRUE(agent.UntilState(denied, EntryState::kPaused));
  EXPECT_THAT(agent.Stats(denied).text, ::testing::HasSubstr("denied"));
  rd_kafka_mock_topic_set_error(cluster_.get(), "denied", RD_KAFKA_RESP_ERR_NO_ERROR);
  Consumer late(cluster_.bootstraps(), "denied", 4);
  ASSERT_TRUE(late.UntilLines(10));
  EXPECT_EQ(Missing(late, 10), 0U);
}

// One partition, which both share: a broker that answers nothing has no rate that would let more in
// than the next batch.
TEST_F(EndToEnd, HotFileQueuesWhatItsPartitionNeedsAndAQuietOneIsTakenBesides) {
  cluster_.Create("one", 1);
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(Log(), "one");
  EntryId quiet = agent.Start((dir_ / "quiet.log").string(), "one");
  Write(Log(), 0, 10);
  Write(dir_ / "quiet.log", 0, 10);
  Consumer consumer(cluster_.bootstraps(), "one", 1);
  ASSERT_TRUE(consumer.UntilLines(20));
  const uint64_t all = agent.sink().Stats().queued_bytes_max;
  EXPECT_GE(all, 8'000'000U) << "of several partitions: five requests and what waits behind them";
  EXPECT_LE(all, 12'000'000U);
  rd_kafka_mock_broker_set_down(cluster_.get(), 1);
  std::string line(1000, 'x');
  line.back() = '\n';
  std::string lines;
  for (int i = 0; i < 1000; ++i) {
    lines += line;
  }
  for (int megabyte = 0; megabyte < 30; ++megabyte) {
    Append(Log(), lines);
  }
  constexpr uint64_t kLimit = 2'500'000;
  ASSERT_TRUE(WaitUntil([&] { return agent.sink().Stats().queued_bytes > kLimit - (300 << 10); }))
      << agent.sink().Stats().queued_bytes << ", lines " << agent.Stats(hot).lines << ", budget "
      << agent.budget().used();
  Write(dir_ / "quiet.log", 10, 20);
  EXPECT_TRUE(WaitUntil([&] { return agent.Stats(quiet).lines == 20; }));
  EXPECT_LE(agent.sink().Stats().queued_bytes, kLimit + (64 << 10));
  EXPECT_LT(agent.Stats(hot).lines, 5'000U) << "the rest stays in the file";
  rd_kafka_mock_broker_set_up(cluster_.get(), 1);
  EXPECT_TRUE(agent.UntilAcked(hot));
  EXPECT_EQ(agent.sink().Stats().queued_bytes, 0U);
}

// The library's own way is to ask poll again and again while a due batch waits for the answer to
// the one before it.
TEST_F(EndToEnd, WaitingForAnswersWithBatchesBehindCostsNoProcessor) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 64 << 20);
  EntryId hot = agent.Start(Log(), "web");
  Write(Log(), 0, 10);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(10));
  rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 300);
  std::string lines;
  for (int i = 0; i < 4000; ++i) {
    lines += std::string(999, 'x') + "\n";
  }
  auto began = std::chrono::steady_clock::now();
  double cpu = CpuSeconds();
  Append(Log(), lines);
  ASSERT_TRUE(WaitUntil([&] { return agent.Stats(hot).lines == 4010; }));
  EXPECT_TRUE(agent.UntilAcked(hot));
  std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
  ASSERT_GT(waited.count(), 0.9) << "answers of four megabytes come one after the other";
  EXPECT_LT(CpuSeconds() - cpu, waited.count() / 4);
}

TEST_F(EndToEnd, BrokerAwayFillsTheBudgetAndNothingElse) {
  DataPath agent(dir_.path(), cluster_.bootstraps(), {}, DataPath::Quick(), 1 << 20);
  agent.Start(Log(), "web");
  Write(Log(), 0, 10);
  Consumer consumer(cluster_.bootstraps(), "web", 4);
  ASSERT_TRUE(consumer.UntilLines(10));
  rd_kafka_mock_broker_set_down(cluster_.get(), 1);
  Write(Log(), 10, 100'000);
  EXPECT_TRUE(WaitUntil([&] { return agent.budget().used() > (1 << 20); }));
  EXPECT_LT(agent.budget().used(), 12U << 20);
  rd_kafka_mock_broker_set_up(cluster_.get(), 1);
  ASSERT_TRUE(consumer.Until([&] { return consumer.lines().size() >= 100'000; }))
      << consumer.lines().size();
  EXPECT_EQ(Missing(consumer, 100'000), 0U);
  EXPECT_TRUE(WaitUntil([&] { return agent.budget().used() == 0; }));
}

}  // namespace
}  // namespace logagent
