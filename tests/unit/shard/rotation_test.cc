// SPDX-License-Identifier: Apache-2.0
// Names that change while files wait, in virtual time on a simulated file system: each test is a
// sequence that once lost or repeated lines.
#include "tests/unit/shard/sim_rig.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace logagent {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class Rotation : public SimShard {
 protected:
  // a.log is closed after "one": b.log has the one descriptor. "two" is only in the copy then.
  void CopyAndTruncateClosed() {
    files_.Append("/logs/a.log", "one\n");
    Start("/logs/a.log");
    files_.Append("/logs/b.log", "other\n");
    Start("/logs/b.log");
    ASSERT_EQ(files_.open_files(), 1U);
    files_.Append("/logs/a.log", "two\n");
    files_.Copy("/logs/a.log", "/logs/a.log.1");
    files_.Truncate("/logs/a.log");
  }
  // The same of one entry.
  void ReadAndClose(const std::string& pattern) {
    Start(pattern);
    files_.Append("/logs/a.log", "one\n");
    Steps(10);
    files_.Append("/logs/b.log", "other\n");
    Steps(10);
    ASSERT_EQ(files_.open_files(), 1U);
  }
  // a.log with that content was rotated to a.log.1 and finished, another a.log read; then a kill.
  void FinishAndKill(const std::string& content, const std::string& next) {
    files_.Append("/logs/a.log", content);
    Start("/logs/a.log");
    files_.Rename("/logs/a.log", "/logs/a.log.1");
    files_.Append("/logs/a.log", next);
    Steps(200);
    Restart();
  }
  // A file of its own under the inode of a.log.1, which is deleted; it is rotated at once.
  void ReuseInode(const std::string& content) {
    files_.Remove("/logs/a.log.1");
    files_.Rename("/logs/a.log", "/logs/a.log.2");
    Steps(1);
    files_.Append("/logs/a.log", content);
    files_.Rename("/logs/a.log", "/logs/a.log.1");
  }
};

TEST_F(Rotation, FilesThatAreNotReadYetOutliveTheirNamesWhileTheTopicIsPaused) {
  Start("/logs/*.log");
  sink_.paused = true;
  for (int i = 0; i < 5; ++i) {
    files_.Append(fmt::format("/logs/{}.log", i), fmt::format("line {}\n", i));
    Steps(3);
  }
  for (int i = 0; i < 5; ++i) {
    files_.Remove(fmt::format("/logs/{}.log", i));
  }
  Steps(10);
  sink_.paused = false;
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("line 0", "line 1", "line 2", "line 3", "line 4"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, WriterThatHasNotHeardOfTheSwitchedLinkIsFollowed) {
  files_.Append("/real/1.log", "one\n");
  files_.Link("/real/1.log", "/logs/cur.log");
  Start("/logs/cur.log");
  Start("/logs/other.log");
  files_.Append("/logs/other.log", "other\n");  // its reader takes the one descriptor
  Steps(5);
  files_.Append("/real/2.log", "three\n");
  files_.Link("/real/2.log", "/logs/cur.log");
  Steps(1);
  files_.Append("/real/1.log", "two\n");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("one", "other", "two", "three"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, InodeOfADeletedFileThatWasClosedIsAnotherFile) {
  files_.Append("/logs/a.log", "a\n");
  Start("/logs/a.log");
  Start("/logs/b.log");
  files_.Append("/logs/b.log", "b\n");
  Steps(5);  // a.log is closed now: its inode is free when it is deleted
  files_.Remove("/logs/a.log");
  files_.Append("/logs/c.log", "not collected\n");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("a", "b"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, BytesThatWereSeenAndCutOffBeforeTheyWereReadAreCounted) {
  Start("/logs/*.log");
  sink_.paused = true;
  files_.Append("/logs/a.log", "pauses the entry\n");
  Steps(10);
  files_.Append("/logs/b.log", "0123456\n");
  Steps(10);
  files_.Truncate("/logs/b.log");
  Steps(10);
  sink_.paused = false;
  EXPECT_EQ(Lost(), 8U);
  files_.Append("/logs/b.log", "next\n");
  Steps(10);
  EXPECT_THAT(sink_.lines, ElementsAre("pauses the entry", "next"));
}

TEST_F(Rotation, BytesThatWereOnlyLookedAtAndCutOffAreCounted) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/a.log");
  sink_.paused = true;
  files_.Append("/logs/a.log", std::string(99, 'a') + "\n");
  Steps(100);
  files_.Append("/logs/a.log", std::string(899, 'b') + "\n");
  EXPECT_EQ(Stats().lag_bytes, 1000U);
  files_.Truncate("/logs/a.log");
  sink_.paused = false;
  Steps(100);
  EXPECT_EQ(Lost(), 900U);
  EXPECT_THAT(sink_.lines, ElementsAre("one", std::string(99, 'a')));  // that was in memory
}

// What has replaced a content is not lost with it, however long it is when it is looked at.
TEST_F(Rotation, LookAtALongerSuccessorLosesNoMoreThanWasThere) {
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/a.log");
  sink_.paused = true;
  files_.Append("/logs/a.log", "is in memory\n");
  Steps(100);
  files_.Append("/logs/a.log", std::string(49, 'a') + "\n");
  Steps(100);
  files_.Truncate("/logs/a.log");
  files_.Append("/logs/a.log", std::string(4999, 'b') + "\n");
  Steps(100);
  sink_.paused = false;
  Steps(100);
  EXPECT_EQ(Lost(), 50U);
  EXPECT_EQ(sink_.lines.back(), std::string(4999, 'b'));
}

TEST_F(Rotation, ClosedFileThatWasTruncatedAndThenRenamedIsReadUnderItsNewName) {
  files_.Append("/logs/a.log", "former\n");
  Start("/logs/a.log");
  Start("/logs/b.log");
  files_.Append("/logs/b.log", "b\n");
  Steps(5);
  files_.Truncate("/logs/a.log");
  files_.Append("/logs/a.log", "longer than the former\n");
  files_.Rename("/logs/a.log", "/logs/a.log.1");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("former", "b", "longer than the former"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, ClosedFileThatWasCopiedAndTruncatedGoesOnInItsCopy) {
  CopyAndTruncateClosed();
  files_.Append("/logs/a.log", "three, longer than what was there\n");
  Steps(200);
  EXPECT_THAT(sink_.lines,
              UnorderedElementsAre("one", "other", "two", "three, longer than what was there"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, CopyUnderTheInodeOfAnEmptyFileIsReadOnce) {
  files_.Append("/logs/b.log", "");
  Start("/logs/*.log*");
  files_.Append("/logs/a.log", "one\n");
  Steps(20);
  ASSERT_EQ(files_.open_files(), 1U);
  files_.Remove("/logs/b.log");
  files_.Copy("/logs/a.log", "/logs/a.log.1");
  files_.Truncate("/logs/a.log");
  files_.Append("/logs/a.log", "two\n");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "two"));
}

// Torture script 50083: it was closed, and no scan came that would have found it again.
TEST_F(Rotation, FileThatWasEmptyIsNotGivenUpForACopyItIsNot) {
  Start("/logs/*.log");
  files_.Append("/logs/a.b.log", "");
  Steps(10);
  files_.Append("/logs/a.log", "one\n");
  Steps(10);
  ASSERT_EQ(files_.open_files(), 1U);
  files_.Truncate("/logs/a.log");
  files_.Append("/logs/a.b.log", "longer than the former\n");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "longer than the former"));
  EXPECT_EQ(Lost(), 0U);
}

// Torture script 40910.
TEST_F(Rotation, RefusedLinesOfAFileThatIsDeletedBeforeTheyAreReadAgainArrive) {
  Start("/logs/*.log");
  files_.Append("/logs/b.log", "other\n");
  Steps(10);
  files_.Append("/logs/a.log", "one\n");
  while (sink_.answers.empty()) {
    Steps(1);
  }
  Refuse();
  files_.Append("/logs/b.log", "takes the one descriptor\n");
  Steps(5);
  files_.Remove("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("other", "one", "takes the one descriptor", "one"));
  EXPECT_EQ(Lost(), 0U);
}

// Torture 301547: the copy goes on where the file was left, though nobody saw it truncated.
TEST_F(Rotation, ClosedFileThatWasCopiedTruncatedAndRemovedGoesOnInItsCopy) {
  ReadAndClose("/logs/*.log*");
  files_.Append("/logs/a.log", "two\n");
  files_.Copy("/logs/a.log", "/logs/a.log.1");
  files_.Truncate("/logs/a.log");
  files_.Remove("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "other", "two"));
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, CopyOfARemovedFileThatWasHeldBackIsReadOnce) {
  Start("/logs/*.log*");
  Start("/logs/b.log");
  files_.Append("/logs/a.log", "one\n");
  Steps(10);
  files_.Append("/logs/b.log", "other\n");
  Steps(10);
  files_.Copy("/logs/a.log", "/logs/a.log.1");
  Steps(10);
  files_.Append("/logs/b.log", "takes the one descriptor\n");
  Steps(10);
  files_.Truncate("/logs/a.log");
  files_.Remove("/logs/a.log");
  Steps(200);
  EXPECT_EQ(std::count(sink_.lines.begin(), sink_.lines.end(), "one"), 1);
  EXPECT_EQ(Lost(), 0U);
}

TEST_F(Rotation, LinesOfARemovedFileThatOnlyItsCopyHoldsArrive) {
  CopyAndTruncateClosed();
  files_.Remove("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "other", "two"));
}

// Beyond 64 files only what is held back is looked at for a copy.
TEST_F(Rotation, RemovedFileAmongManyGoesOnInItsCopyToo) {
  Start("/logs/*.log*");
  files_.Append("/logs/a.log", "one\n");
  Steps(10);
  for (int i = 0; i < 70; ++i) {
    files_.Append(fmt::format("/logs/a.{}.log", i), fmt::format("other {}\n", i));
  }
  Steps(20);
  ASSERT_EQ(files_.open_files(), 1U);
  ASSERT_EQ(sink_.lines.size(), 71U);
  files_.Append("/logs/a.log", "two\n");
  files_.Copy("/logs/a.log", "/logs/a.log.1");
  files_.Truncate("/logs/a.log");
  files_.Remove("/logs/a.log");
  Steps(200);
  EXPECT_EQ(sink_.lines.size(), 72U);
  EXPECT_EQ(sink_.lines.back(), "two");
  EXPECT_EQ(Lost(), 0U);
}

// Torture script 20443: it equals nothing any more when it is looked at, and is read as a file of
// its own.
TEST_F(Rotation, RefusedLinesOfATruncatedFileAreNotLostWhenItsCopyIsReadAnyway) {
  Start("/logs/*.log*");
  files_.Append("/logs/a.log", "one\n");
  while (sink_.answers.empty()) {
    Steps(1);
  }
  files_.Copy("/logs/a.log", "/logs/a.log.1");
  files_.Truncate("/logs/a.log");
  Refuse();
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("one", "one"));
  EXPECT_EQ(Lost(), 0U);
}

// Torture scripts 503534 and 504977: its name was not the one the inode had before.
TEST_F(Rotation, CopyUnderTheInodeOfARemovedFileIsHeldBackBeforeAScanSeesIt) {
  options_.coalesce = std::chrono::seconds(1);
  Restart();
  files_.Append("/logs/a.log.1", "former\n");
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/*.log*");
  sink_.paused = true;
  files_.Append("/logs/a.log", "two\n");
  Steps(10);
  ASSERT_EQ(files_.open_files(), 1U);
  files_.Remove("/logs/a.log.1");
  files_.Copy("/logs/a.log", "/logs/a.log.2");
  sink_.paused = false;
  Steps(30);
  files_.Truncate("/logs/a.log");
  Steps(300);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("former", "one", "two"));
  EXPECT_EQ(Lost(), 0U);
}

// Torture script 91000738: a file of which nothing is known is looked at like a new one, whose key
// is that of the first content under its inode.
TEST_F(Rotation, RefusedLinesOfATruncatedFileAreCountedWhenItsKeyIsUsedAgain) {
  Start("/logs/*.log");
  files_.Append("/logs/a.log", "refused\n");
  while (sink_.answers.empty()) {
    Steps(1);
  }
  std::vector<Delivery> flying = std::exchange(sink_.answers, {});
  files_.Truncate("/logs/a.log");
  files_.Append("/logs/a.log", "longer than before\n");
  Steps(20);
  files_.Truncate("/logs/a.log");
  Steps(20);
  files_.Append("/logs/b.log", "takes the descriptor\n");
  Steps(20);
  ASSERT_EQ(files_.open_files(), 1U);
  files_.Append("/logs/a.log", "new\n");
  files_.Append("/logs/c.log", "has them looked for\n");
  Steps(20);
  EXPECT_THAT(sink_.lines,
              UnorderedElementsAre("refused", "longer than before", "takes the descriptor", "new",
                                   "has them looked for"));
  EXPECT_EQ(Lost(), 0U);
  sink_.answers = std::move(flying);
  Refuse();
  EXPECT_EQ(Lost(), 8U);
}

TEST_F(Rotation, CheckpointOfAnEmptyFileSpeaksForNoOtherFile) {
  files_.Append("/logs/b.log", "");
  Start("/logs/*.log");
  Restart();
  files_.Remove("/logs/b.log");
  files_.Append("/logs/a.txt.gz", "compressed\n");  // has its inode
  files_.Append("/logs/a.log", "one\n");
  Start("/logs/*.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, ElementsAre("one"));
}

TEST_F(Rotation, CheckpointFollowsTheFileThatGotTheInodeOfAnEmptyOne) {
  files_.Append("/logs/b.log", "");
  Start("/logs/*.log");
  Restart();
  files_.Remove("/logs/b.log");
  files_.Append("/real/x.log", "one\n");  // has its inode
  files_.Append("/real/y.log", "two\n");
  files_.Link("/real/x.log", "/logs/cur.log");
  sink_.paused = true;
  Start("/logs/*.log");
  Restart();
  files_.Link("/real/y.log", "/logs/cur.log");
  sink_.paused = false;
  Start("/logs/*.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("one", "two"));
}

// Torture script 270623658: it depended on when the removed one was looked at.
TEST_F(Rotation, FileUnderTheInodeOfARemovedOneIsFoundThoughRenamedAtOnce) {
  Start("/logs/*.log");
  for (int i = 0; i < 25; ++i) {
    files_.Append("/logs/a.log", "one\n");
    Steps(20 + i);
    files_.Append("/logs/b.log", "takes the one descriptor\n");
    Steps(10);
    sink_.paused = true;
    files_.Append("/logs/b.log", "waits\n");
    Steps(5);
    files_.Remove("/logs/a.log");
    Steps(4);
    files_.Append("/logs/a.log", "two\n");
    files_.Rename("/logs/a.log", "/logs/a.log.1");
    files_.Append("/logs/a.log", "three\n");
    Steps(40);
    sink_.paused = false;
    Steps(150);
    files_.Remove("/logs/a.log.1");
    files_.Remove("/logs/a.log");
    Steps(150);
    ASSERT_EQ(sink_.lines.size(), 5U * (i + 1)) << i;
  }
  EXPECT_EQ(Lost(), 0U);
}

// Torture script 270624176.
TEST_F(Rotation, FileUnderTheInodeOfAFinishedEmptyOneIsReadAfterARestart) {
  FinishAndKill("", "one\n");
  ReuseInode("two\n");
  Start("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("one", "two"));
}

TEST_F(Rotation, FileUnderTheInodeOfAFinishedOneIsReadAfterARestart) {
  FinishAndKill("zero\n", "one\n");
  ReuseInode("two\n");
  Start("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("zero", "one", "two"));
}

TEST_F(Rotation, WhatIsWrittenToAFinishedFileWhileTheAgentIsDownArrives) {
  FinishAndKill("one\n", "three\n");
  files_.Append("/logs/a.log.1", "two\n");
  Start("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("one", "three", "two"));
}

// The rows of finished files are forgotten after a while: not that of one that is read again.
TEST_F(Rotation, FileThatGoesOnUnderTheRowOfAFinishedOneKeepsIt) {
  Start("/logs/*.log");
  files_.Append("/logs/e.log", "");
  Steps(10);
  files_.Rename("/logs/e.log", "/logs/e.txt");
  Steps(200);
  files_.Remove("/logs/e.txt");
  files_.Append("/logs/a.log", "one\n");  // has its inode
  Steps(20);
  for (int i = 0; i < 20; ++i) {
    files_.Append("/logs/b.log", "other\n");
    Steps(10);
    files_.Rename("/logs/b.log", fmt::format("/logs/b.{}", i));
    Steps(150);
  }
  Restart();
  Start("/logs/*.log");
  Steps(200);
  EXPECT_EQ(std::count(sink_.lines.begin(), sink_.lines.end(), "one"), 1);
}

// Torture script 20273191: the row of the empty one stayed beside its own, of a later generation.
TEST_F(Rotation, FileUnderTheInodeOfAFinishedTruncatedOneIsNotReadAgainAfterARestart) {
  Start("/logs/a.log");
  files_.Append("/logs/a.log", "zero\n");
  Steps(20);
  files_.Truncate("/logs/a.log");
  Steps(20);
  files_.Rename("/logs/a.log", "/logs/a.log.1");
  Steps(200);
  files_.Remove("/logs/a.log.1");
  files_.Append("/logs/a.log", "one\n");  // has its inode
  files_.Rename("/logs/a.log", "/logs/a.log.1");
  files_.Append("/logs/a.log", "two\n");
  Steps(200);
  Restart();
  Start("/logs/a.log");
  Steps(200);
  EXPECT_THAT(sink_.lines, UnorderedElementsAre("zero", "one", "two"));
}

// Torture script 270622132: it was looked for under the new file's name.
TEST_F(Rotation, CopyOfAFileWhoseInodeAnotherNameHasIsReadOnce) {
  ReadAndClose("/logs/*.log*");
  files_.Copy("/logs/a.log", "/logs/a.log.1");
  Steps(2);
  files_.Append("/logs/b.log", "takes the one descriptor\n");
  Steps(10);
  files_.Truncate("/logs/a.log");
  files_.Remove("/logs/a.log");
  files_.Append("/logs/c.log", "two, longer\n");
  Steps(200);
  EXPECT_THAT(sink_.lines,
              UnorderedElementsAre("one", "other", "takes the one descriptor", "two, longer"));
}

}  // namespace
}  // namespace logagent
