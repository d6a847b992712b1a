// SPDX-License-Identifier: Apache-2.0
// Names that change while files wait, in virtual time on a simulated file system: each test is a
// sequence that once lost or repeated lines.
#include "logagent/agent/shard.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/model/model.h"
#include "tests/agent/sim_file_system.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace logagent {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// Takes every line, unless it is paused, and answers at the next step.
class ListSink final : public Sink {
 public:
  void Prepare(std::string_view) override {}
  Offer Produce(Batch& batch) override {
    if (paused) {
      return Offer::kPaused;
    }
    for (const Line& line : batch.lines) {
      lines.emplace_back(batch.chunk->data() + line.begin, line.length);
    }
    Delivery answer;
    answer.entry = batch.entry;
    answer.file = batch.file;
    answer.range = batch.range;
    answers.push_back(std::move(answer));
    Batch taken = std::move(batch);
    return Offer::kTaken;
  }
  TopicStatus Topic(std::string_view) const override {
    return {paused ? TopicStatus::State::kError : TopicStatus::State::kReady, 1, "paused"};
  }
  void Poll(absl::FunctionRef<void(Delivery)>) override {}

  bool paused = false;
  std::vector<std::string> lines;
  std::vector<Delivery> answers;
};

class Rotation : public ::testing::Test {
 protected:
  Rotation() {
    files_.MakeDirectory("/logs");
    files_.MakeDirectory("/real");
    EXPECT_TRUE(checkpointer_.Load().has_value());
    ShardOptions options;
    options.finish_quiet = std::chrono::seconds(1);
    options.open_files_max = 1;  // so that what may be closed is closed
    shard_ = std::make_unique<Shard>(options, files_, sink_, checkpointer_, spool_,
                                     std::make_shared<Budget>(1 << 20, 1 << 16), clock_);
  }
  void Start(const std::string& path) {
    EntrySpec spec;
    spec.id = EntryId(++entries_);
    spec.path = path;
    spec.topic = "t";
    shard_->StartEntry(std::move(spec), false);
    Steps(5);
  }
  void Steps(int count) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(std::chrono::milliseconds(10));
      shard_->Deliver(std::exchange(sink_.answers, {}));
      checkpointer_.Step();
      shard_->Step();
    }
  }
  uint64_t Lost() {
    uint64_t lost = 0;
    Steps(50);  // until it is published
    for (const EntryStats& entry : shard_->Snapshot()->entries) {
      lost += entry.lost.total();
    }
    return lost;
  }

  testing::VirtualClock clock_;
  testing::SimFileSystem files_{clock_};
  ListSink sink_;
  DeadLetterSpool spool_{"/nonexistent/dead-letters", 1 << 20, clock_};
  Checkpointer checkpointer_{std::make_unique<MemoryCheckpointStore>(), CheckpointerOptions(),
                             clock_};
  std::unique_ptr<Shard> shard_;
  uint64_t entries_ = 0;
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

}  // namespace
}  // namespace logagent
