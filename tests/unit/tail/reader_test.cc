// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/reader.h"

#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace logagent {
namespace {

using ::testing::ElementsAre;
using Kind = ReadStep::Kind;

class ReaderTest : public ::testing::Test {
 protected:
  Path log() const { return dir_ / "a.log"; }
  std::unique_ptr<Reader> Open(Reader::Start start = Reader::Start::kBeginning,
                               std::optional<Resume> resume = {}) {
    auto reader = Reader::Open(files_, share_, options_, log(), resume, start);
    EXPECT_TRUE(reader.has_value()) << reader.error().message();
    return std::move(*reader);
  }
  // All whole lines that are there now.
  static std::vector<std::string> Lines(Reader& reader) {
    std::vector<std::string> lines;
    for (auto step = reader.Read(); step->kind == Kind::kLines; step = reader.Read()) {
      for (const Line& line : step->lines) {
        lines.emplace_back(step->chunk->data() + line.begin, line.length);
      }
      EXPECT_EQ(step->end, reader.offset());
    }
    return lines;
  }
  static Resume Where(const Reader& reader) {
    return {reader.key().generation, reader.offset(), reader.head(), reader.mark()};
  }

  TempDir dir_;
  PosixFileSystem files_;
  std::shared_ptr<Budget> budget_ = std::make_shared<Budget>(8 << 20, 1 << 20);
  BudgetSharePtr share_ = std::make_shared<BudgetShare>(budget_);
  ReaderOptions options_;
};

TEST_F(ReaderTest, UnfinishedLineWaitsForItsNewline) {
  Append(log(), "one\ntw");
  auto reader = Open();
  EXPECT_THAT(Lines(*reader), ElementsAre("one"));
  Append(log(), "o");
  EXPECT_THAT(Lines(*reader), ElementsAre());
  Append(log(), "\n\n");
  EXPECT_THAT(Lines(*reader), ElementsAre("two", ""));
  EXPECT_EQ(budget_->used(), 0U);
}

TEST_F(ReaderTest, UnfinishedLineOfAFinishedFileIsTakenOnRequest) {
  Append(log(), "one\ntail");
  auto reader = Open();
  EXPECT_THAT(Lines(*reader), ElementsAre("one"));
  auto step = reader->ReadUnfinished();
  ASSERT_EQ(step->kind, Kind::kLines);
  EXPECT_EQ(std::string(step->chunk->data() + step->lines[0].begin, step->lines[0].length), "tail");
  EXPECT_EQ(reader->ReadUnfinished()->kind, Kind::kEnd);
}

TEST_F(ReaderTest, StartAtTheEndTakesTheLineBeingWrittenWhole) {
  Append(log(), "old\nhal");
  auto reader = Open(Reader::Start::kEnd);
  Append(log(), "f\n");
  EXPECT_THAT(Lines(*reader), ElementsAre("half"));
}

TEST_F(ReaderTest, LinesLongerThanAChunkAreReadWhole) {
  std::string line(900'000, 'x');
  Append(log(), "a\n" + line + "\nb\n");
  auto reader = Open();
  EXPECT_THAT(Lines(*reader), ElementsAre("a", line, "b"));
}

TEST_F(ReaderTest, OversizeLineIsARangeAndMemoryStaysFlat) {
  options_.max_line_bytes = 100'000;
  Append(log(), "a\n");
  auto reader = Open();
  EXPECT_THAT(Lines(*reader), ElementsAre("a"));
  Append(log(), std::string(3'000'000, 'x'));
  EXPECT_EQ(reader->Read()->kind, Kind::kEnd);
  Append(log(), "\nb\n");
  auto step = reader->Read();
  ASSERT_EQ(step->kind, Kind::kOversize);
  EXPECT_EQ(step->begin, 2U);
  EXPECT_EQ(step->end, 3'000'003U);
  EXPECT_EQ(budget_->used(), 0U);
  EXPECT_THAT(Lines(*reader), ElementsAre("b"));
}

TEST_F(ReaderTest, LineOfExactlyTheLimitIsNotTooLong) {
  options_.max_line_bytes = 1000;
  Append(log(), std::string(1000, 'x') + "\n" + std::string(1001, 'y') + "\nz\n");
  auto reader = Open();
  EXPECT_THAT(Lines(*reader), ElementsAre(std::string(1000, 'x')));
  // Lines() consumed the oversize step.
  EXPECT_THAT(Lines(*reader), ElementsAre("z"));
}

TEST_F(ReaderTest, ShrunkAndRegrownFilesBeginANewGeneration) {
  Append(log(), "aaaa\nbbbb\n");
  auto reader = Open();
  Lines(*reader);
  std::filesystem::resize_file(log(), 0);
  EXPECT_EQ(reader->Read()->kind, Kind::kTruncated);
  EXPECT_EQ(reader->key().generation, 1U);
  Append(log(), "c\n");
  EXPECT_THAT(Lines(*reader), ElementsAre("c"));
  std::filesystem::resize_file(log(), 0);
  Append(log(), "dddd\neeee\n");
  EXPECT_EQ(reader->Read()->kind, Kind::kTruncated);
  EXPECT_THAT(Lines(*reader), ElementsAre("dddd", "eeee"));
}

TEST_F(ReaderTest, ResumesWhereItWasLeftOnlyInTheSameContent) {
  Append(log(), "one\ntwo\n");
  auto reader = Open();
  Lines(*reader);
  Resume left = Where(*reader);
  Append(log(), "three\n");
  auto again = Open(Reader::Start::kBeginning, left);
  EXPECT_TRUE(again->resumed());
  EXPECT_THAT(Lines(*again), ElementsAre("three"));
  std::filesystem::resize_file(log(), 0);
  Append(log(), "another content altogether\n");
  auto other = Open(Reader::Start::kBeginning, left);
  EXPECT_FALSE(other->resumed());
  EXPECT_EQ(other->key().generation, left.generation + 1);
  EXPECT_THAT(Lines(*other), ElementsAre("another content altogether"));
}

TEST_F(ReaderTest, RewindGoesBackToALineAndNoticesOtherContent) {
  Append(log(), "one\ntwo\n");
  auto reader = Open();
  TailMark start = reader->mark();
  Lines(*reader);
  EXPECT_TRUE(reader->Rewind(0, start));
  EXPECT_THAT(Lines(*reader), ElementsAre("one", "two"));
  TailMark mark = reader->mark();
  std::filesystem::resize_file(log(), 0);
  Append(log(), "xxx\nyyy\n");
  EXPECT_FALSE(reader->Rewind(8, mark));
  EXPECT_THAT(Lines(*reader), ElementsAre("xxx", "yyy"));
}

TEST_F(ReaderTest, WithoutMemoryNothingIsRead) {
  Append(log(), std::string(2'000'000, 'x') + "\n");
  auto small = std::make_shared<Budget>(1000, 10);
  auto share = std::make_shared<BudgetShare>(small);
  share->Take(1000);
  auto reader = Reader::Open(files_, share, options_, log(), {}, Reader::Start::kBeginning);
  EXPECT_EQ((*reader)->Read()->kind, Kind::kNoBudget);
  EXPECT_EQ((*reader)->offset(), 0U);
}

}  // namespace
}  // namespace logagent
