// SPDX-License-Identifier: Apache-2.0
// What files may be and become, but for rotation (rotation_test.cc): holes, long lines, equal ones,
// deleted, unreadable and away.
#include "tests/unit/shard/sim_rig.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class Files : public SimShard {};

TEST_F(Files, HoleThatAWriterLeavesAfterATruncationIsSkippedAndCounted) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/a.log");
  files_.Truncate("/logs/a.log");
  files_.Append("/logs/a.log", std::string(100, '\0') + "two\n");
  Steps(20);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "two"));
  EXPECT_EQ(Stats().bytes_skipped, 100U);
}

TEST_F(Files, TooManyBytesOfDeletedFilesGiveUpTheOneThatWaitedLongest) {
  options_.pinned_bytes_max = 1000;
  Restart();
  sink_.paused = true;
  files_.Append("/logs/a.log", std::string(799, 'a') + "\n");
  files_.Append("/logs/b.log", std::string(799, 'b') + "\n");
  Start("/logs/*.log");
  files_.Remove("/logs/a.log");
  Steps(50);
  EXPECT_EQ(Stats().bytes_pinned, 800U);
  EXPECT_EQ(Lost(), 0U);
  files_.Remove("/logs/b.log");
  Steps(50);
  EntryStats stats = Stats();
  EXPECT_EQ(stats.lost.given_up, 800U);
  EXPECT_EQ(stats.bytes_pinned, 800U);
  sink_.paused = false;
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre(std::string(799, 'b')));
  EXPECT_EQ(files_.open_files(), 0U);
}

TEST_F(Files, LagOfAFileThatIsNotReadGrowsWithIt) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/*.log");
  sink_.paused = true;
  files_.Append("/logs/a.log", std::string(99, 'a') + "\n");
  EXPECT_EQ(Stats().lag_bytes, 100U);
  files_.Append("/logs/a.log", std::string(899, 'b') + "\n");
  EXPECT_EQ(Stats().lag_bytes, 1000U);
  files_.Append("/logs/b.log", std::string(499, 'c') + "\n");
  files_.Append("/logs/b.log", std::string(499, 'd') + "\n");
  EXPECT_EQ(Stats().lag_bytes, 2000U);
  sink_.paused = false;
  Steps(200);
  EXPECT_EQ(Stats().lag_bytes, 0U);
  EXPECT_EQ(sink_.lines.size(), 5U);
}

TEST_F(Files, LagOfAClosedFileThatIsNotReadGrowsWithIt) {
  options_.unread_files_max = options_.read_files_max = 1;
  Restart();
  files_.Append("/logs/a.log", "one\n");
  files_.Append("/logs/b.log", "two\n");
  Start("/logs/*.log");
  Steps(50);
  EXPECT_EQ(sink_.lines.size(), 2U);
  sink_.paused = true;
  files_.Append("/logs/a.log", std::string(499, 'a') + "\n");
  files_.Append("/logs/b.log", std::string(499, 'b') + "\n");
  EXPECT_EQ(Stats().lag_bytes, 1000U);
}

TEST_F(Files, FilesWithLinesInFlightLeaveDescriptorsToConnections) {
  options_.unread_files_max = options_.read_files_max = 3;
  Restart();
  Start("/logs/*.log");
  for (int i = 0; i < 10; ++i) {
    files_.Append(fmt::format("/logs/{}.log", i), fmt::format("line {}\n", i));
  }
  std::vector<Delivery> unanswered;
  for (int i = 0; i < 50; ++i) {
    Steps(1);
    std::ranges::move(std::exchange(sink_.answers, {}), std::back_inserter(unanswered));
    EXPECT_LE(files_.open_files(), 3U);
  }
  EXPECT_EQ(sink_.lines.size(), 3U);
  sink_.answers = std::move(unanswered);
  Steps(200);
  EXPECT_EQ(sink_.lines.size(), 10U);
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Files, UnreadableFileIsToldAndCollectedWhenItBecomesReadable) {
  files_.Append("/logs/a.log", "one\n");
  files_.Append("/logs/b.log", "other\n");
  files_.SetReadable("/logs/a.log", false);
  Start("/logs/*.log");
  EntryStats stats = Stats();
  EXPECT_EQ(stats.state, EntryState::kDenied);
  EXPECT_THAT(stats.text, HasSubstr("/logs/a.log"));
  EXPECT_THAT(sink_.lines, ElementsAre("other"));
  files_.SetReadable("/logs/a.log", true);
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("other", "one"));
  EXPECT_EQ(Stats().state, EntryState::kRunning);
}

TEST_F(Files, FilesThatAreEqualAreAllRead) {
  files_.Append("/logs/a.log", "same\n");
  files_.Append("/logs/b.log", "same\n");
  Start("/logs/*.log*");
  EXPECT_THAT(sink_.lines, ElementsAre("same", "same"));
  // Under a rotated name it could be the copy of a copytruncate, until it is plain that it is none.
  files_.Append("/logs/a.log.1", "same\n");
  Steps(50);
  EXPECT_EQ(sink_.lines.size(), 2U);
  EXPECT_EQ(shard_->Snapshot()->files.back().state, "held back");
  Steps(200);
  EXPECT_EQ(sink_.lines.size(), 3U);
}

// The work must grow with the number of files and not with its square.
TEST_F(Files, FilesThatAreRemovedTogetherAreLookedForTogether) {
  constexpr int kFiles = 600;
  Start("/logs/*.log");
  for (int i = 0; i < kFiles; ++i) {
    files_.Append(fmt::format("/logs/{}.log", i), fmt::format("line {}\n", i));
  }
  Steps(50);
  ASSERT_EQ(files_.open_files(), 1U);
  ASSERT_EQ(sink_.lines.size(), size_t{kFiles});
  size_t before = files_.names_listed();
  for (int i = 0; i < kFiles / 2; ++i) {
    files_.Remove(fmt::format("/logs/{}.log", i));
  }
  Steps(200);
  EXPECT_EQ(Stats().files, size_t{kFiles / 2});
  EXPECT_EQ(Lost(), 0U);
  EXPECT_LE(files_.names_listed() - before, size_t{20 * kFiles});
}

// Each of those that are gone may have its copy in each that is there, by their names.
TEST_F(Files, RotatedFilesThatWereRemovedMeanwhileAreLookedForTogether) {
  constexpr int kFiles = 200;
  for (int i = 0; i < kFiles; ++i) {
    files_.Append(fmt::format("/logs/app.log.{}", i),
                  fmt::format("line {}\n", i) + std::string(2000, 'x') + "\n");
  }
  Start("/logs/app.log*");
  Steps(200);
  ASSERT_EQ(sink_.lines.size(), size_t{2 * kFiles});
  Restart();
  for (int i = 0; i < kFiles / 2; ++i) {
    files_.Remove(fmt::format("/logs/app.log.{}", i));
  }
  size_t before = files_.opens();
  Start("/logs/app.log*");
  Steps(50);
  EXPECT_EQ(Stats().files, size_t{kFiles / 2});
  EXPECT_LE(files_.opens() - before, size_t{4 * kFiles});
  EXPECT_EQ(sink_.lines.size(), size_t{2 * kFiles});
  EXPECT_EQ(Lost(), 0U);
}

// A new file must not wait for a look at the thousands beside it.
TEST_F(Files, FileThatAppearsIsOpenedByItsNameAlone) {
  for (int i = 0; i < 300; ++i) {
    files_.Append(fmt::format("/logs/{}.log", i), "old\n");
  }
  Start("/logs/*.log");
  Steps(50);
  size_t before = files_.names_listed();
  sink_.lines.clear();
  files_.Append("/logs/new.log", "one\n");
  Steps(10);
  EXPECT_THAT(sink_.lines, ElementsAre("one"));
  files_.Append("/logs/new.log", "two\n");
  Steps(10);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "two"));
  EXPECT_EQ(Stats().files, 301U);
  EXPECT_EQ(files_.names_listed(), before);
}

TEST_F(Files, ManyFilesThatAppearTogetherAreLookedForTogether) {
  constexpr int kFiles = 300;
  Start("/logs/*.log");
  size_t before = files_.names_listed();
  for (int i = 0; i < kFiles; ++i) {
    files_.Append(fmt::format("/logs/{}.log", i), fmt::format("line {}\n", i));
  }
  Steps(50);
  EXPECT_EQ(sink_.lines.size(), size_t{kFiles});
  EXPECT_GE(files_.names_listed() - before, size_t{kFiles});
}

TEST_F(Files, FileThatAppearsAmongLostEventsIsFoundByAScan) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/*.log");
  size_t before = files_.names_listed();
  files_.Overflow();
  files_.Append("/logs/b.log", "two\n");
  Steps(20);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "two"));
  EXPECT_GT(files_.names_listed(), before);
}

// What a name leads to is the scan's to tell when the name or the file was known before.
TEST_F(Files, NameThatAppearsAgainIsTheNextFile) {
  files_.Append("/logs/a.log", "one\n");
  files_.Append("/logs/b.log", "two\n");
  Start("/logs/*.log");
  files_.Rename("/logs/a.log", "/logs/c.log");
  files_.Append("/logs/a.log", "three\n");
  files_.Remove("/logs/b.log");
  files_.Append("/logs/b.log", "four\n");
  files_.Link("/logs/c.log", "/logs/d.log");
  Steps(20);
  files_.Append("/logs/c.log", "five\n");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("one", "two", "three", "four", "five"));
  EXPECT_EQ(Stats().files, 3U);
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Files, FileOfTwoEntriesIsReadOnceForEach) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/a.log");
  Start("/logs/*.log");
  files_.Append("/logs/a.log", "two\n");
  Steps(20);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("one", "one", "two", "two"));
}

TEST_F(Files, LineOfTenMebibytesGoesToTheSpoolUnlessTheLimitAllowsIt) {
  const std::string line(10 << 20, 'x');
  files_.Append("/logs/a.log", line + "\nafter\n");
  Start("/logs/a.log");
  Steps(50);
  EXPECT_THAT(sink_.lines, ElementsAre("after"));
  EXPECT_EQ(Stats().lines_dead, 1U);
  EXPECT_GT(spool_.size_bytes(), line.size());

  sink_.lines.clear();
  budget_bytes_ = 64 << 20;
  Restart();
  Start("/logs/*.log", 16 << 20);
  Steps(50);
  ASSERT_EQ(sink_.lines.size(), 2U);
  EXPECT_TRUE(sink_.lines[0] == line);
  EXPECT_EQ(sink_.lines[1], "after");
}

TEST_F(Files, DirectoryThatIsUnmountedGoesOnWhereItWasLeft) {
  options_.rescan = std::chrono::seconds(1);
  Restart();
  files_.MakeDirectory("/logs/disk");
  files_.Mount("/logs/disk");
  files_.Append("/logs/disk/a.log", "one\n");
  Start("/logs/disk/*.log");
  Steps(200);
  files_.Unmount("/logs/disk");
  Steps(1000);
  EXPECT_EQ(Stats().state, EntryState::kNoMatch);
  files_.Mount("/logs/disk");
  files_.Append("/logs/disk/a.log", "two\n");
  Steps(300);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "two"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Files, StaleDescriptorIsOpenedByItsNameAgain) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/a.log");
  files_.MakeStale("/logs/a.log");
  files_.Append("/logs/a.log", "two\n");
  Steps(300);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "two"));
  files_.Append("/logs/a.log", "three\n");
  Steps(1);  // in flight, and not taken
  files_.MakeStale("/logs/a.log");
  sink_.lines.clear();
  Refuse();
  Steps(300);
  EXPECT_THAT(sink_.lines, ElementsAre("three"));
  EXPECT_EQ(Lost(), 0U);
  EXPECT_EQ(files_.open_files(), 1U);
}

// Another machine rotates: what it removed is gone for us with its descriptors.
TEST_F(Files, StaleDescriptorOfAFileThatIsGoneEndsWithItAndIsCounted) {
  files_.Append("/logs/a.log", "one\nunfinished");
  Start("/logs/a.log");
  for (int rotation = 0; rotation < 3; ++rotation) {
    files_.MakeStale("/logs/a.log");
    files_.Remove("/logs/a.log");
    files_.Append("/logs/a.log", fmt::format("next {}\nunfinished", rotation));
    Steps(500);
  }
  EXPECT_THAT(sink_.lines, ElementsAre("one", "next 0", "next 1", "next 2"));
  EXPECT_EQ(Stats().files, 1U);
  EXPECT_EQ(Lost(), 3 * std::string_view("unfinished").size());
  EXPECT_EQ(files_.open_files(), 1U);
}

TEST_F(Files, DirectoriesThatAppearAreCollected) {
  Start("/logs/*/new/*.log");
  files_.MakeDirectory("/logs/app");
  Steps(10);
  files_.MakeDirectory("/logs/app/new");
  files_.Append("/logs/app/new/a.log", "one\n");
  Steps(10);
  EXPECT_THAT(sink_.lines, ElementsAre("one"));
}

TEST_F(Files, DirectoryThatNoEntryNeedsIsNotWatched) {
  Start("/logs/*.log");
  Start("/logs/a.log");
  Start("/real/deep/a.log");  // of which only /real is there
  EXPECT_EQ(files_.watches(), 2U);
  files_.MakeDirectory("/real/deep");
  Steps(10);
  EXPECT_EQ(files_.watches(), 2U);
  for (uint64_t id : {3U, 1U}) {
    shard_->StopEntry(EntryId(id), std::chrono::seconds(1), [] {});
    Steps(10);
    EXPECT_EQ(files_.watches(), 1U);
  }
  files_.Append("/logs/a.log", "one\n");
  Steps(10);
  EXPECT_THAT(sink_.lines, ElementsAre("one"));
  shard_->StopEntry(EntryId(2), std::chrono::seconds(1), [] {});
  Steps(10);
  EXPECT_EQ(files_.watches(), 0U);
}

TEST_F(Files, WithoutWatchesNothingIsMissed) {
  files_.watches_max = 0;
  Start("/logs/*.log");
  files_.Append("/logs/a.log", "one\n");
  Steps(150);
  EXPECT_THAT(sink_.lines, ElementsAre("one"));
  EXPECT_THAT(Stats().text, HasSubstr("/logs"));
  files_.watches_max = 10;
  Steps(150);
  EXPECT_EQ(Stats().text, "");
}

}  // namespace
}  // namespace logagent
