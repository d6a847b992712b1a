// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter.h"

#include "logagent/deliver/dead_letter_reader.h"
#include "logagent/deliver/dead_letter_replay.h"
#include "store/base/file.h"
#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace logagent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DeadLetterSpool, RecordIsAHeaderLineAndTheBytes) {
  TempDir dir;
  store::SystemClock clock;
  DeadLetterSpool spool(dir / "dead.log", 1 << 20, clock);
  DeadLetter letter{"web", "/var/log/\"a\".log", {1, 2, 3}, 40, 3, "too large"};
  ASSERT_TRUE(spool.Append(letter, "xyz").has_value());
  ASSERT_TRUE(spool.Sync().has_value());
  std::string text = *store::ReadFile(spool.file().string());
  EXPECT_THAT(text, HasSubstr(R"("path":"/var/log/\"a\".log","device":1,"inode":2,"generation":3,)"
                              R"("offset":40,"bytes":3,"reason":"too large")"));
  EXPECT_TRUE(text.ends_with("\nxyz\n"));
  EXPECT_EQ(spool.size_bytes(), text.size());
}

TEST(DeadLetterSpool, FailedReadLeavesNoHalfRecordAndTheLimitHolds) {
  TempDir dir;
  store::SystemClock clock;
  DeadLetterSpool spool(dir / "dead.log", 1000, clock);
  DeadLetter letter{"web", "/a", {}, 0, 500, "too long"};
  auto nothing = [](uint64_t, std::span<char>) -> Result<size_t> { return size_t{0}; };
  EXPECT_FALSE(spool.AppendStreamed(letter, nothing).has_value());
  EXPECT_EQ(spool.size_bytes(), 0U);
  ASSERT_TRUE(spool.Append(letter, std::string(500, 'x')).has_value());
  auto refused = spool.Append(letter, std::string(500, 'x'));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), store::ErrorCode::kNoSpace);
}

TEST(DeadLetterSpool, RecordsAreReadBackAndHalfOnesAreTold) {
  TempDir dir;
  store::SystemClock clock;
  DeadLetterSpool spool(dir / "dead.log", 1 << 20, clock);
  std::string payload = "two\nlines and a \0 byte";
  ASSERT_TRUE(spool.Append({"web", "/a b", {1, 2, 3}, 40, payload.size(), "too large"}, payload));
  ASSERT_TRUE(spool.Append({"app", "/c", {}, 0, 0, "empty"}, ""));
  auto reader = DeadLetterReader::Open(spool.file());
  ASSERT_TRUE(reader.has_value());
  auto first = reader->Next();
  ASSERT_TRUE(first.has_value() && first->has_value()) << first.error().message();
  EXPECT_EQ((*first)->payload, payload);
  EXPECT_EQ((*first)->path, "/a b");
  EXPECT_EQ((*first)->file, (FileKey{1, 2, 3}));
  auto second = reader->Next();
  ASSERT_TRUE(second.has_value() && second->has_value());
  EXPECT_EQ((*second)->topic, "app");
  auto end = reader->Next();
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(end->has_value());
  std::filesystem::resize_file(spool.file(), spool.size_bytes() - 1);
  auto half = DeadLetterReader::Open(spool.file());
  ASSERT_TRUE(half->Next().has_value());
  auto damaged = half->Next();
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code(), store::ErrorCode::kCorruption);
}

// What a reader makes of a spool, in order: payloads, and "damaged" for what it passed over.
std::vector<std::string> ReadAll(const Path& file) {
  std::vector<std::string> all;
  auto reader = DeadLetterReader::Open(file);
  for (int i = 0; reader && i < 100; ++i) {
    auto record = reader->Next();
    if (record && !*record) {
      return all;
    }
    all.push_back(record ? (*record)->payload : "damaged");
  }
  ADD_FAILURE() << file << ": no end";
  return all;
}

std::string OneRecord(const Path& directory, const std::string& payload) {
  store::SystemClock clock;
  DeadLetterSpool spool(directory / "one.log", 1 << 20, clock);
  EXPECT_TRUE(spool.Append({"web", "/a", {}, 0, payload.size(), "r"}, payload).has_value());
  std::string text = *store::ReadFile(spool.file().string());
  std::filesystem::remove(spool.file());
  return text;
}

TEST(DeadLetterSpool, NextLifeCutsWhatAKillLeftOfTheLastRecord) {
  TempDir dir;
  store::SystemClock clock;
  std::string whole = OneRecord(dir.path(), "whole");
  std::string torn = OneRecord(dir.path(), "torn");
  for (size_t left = 0; left <= torn.size(); ++left) {
    Path file = dir / "dead.log";
    std::filesystem::remove(file);
    Append(file, whole + torn.substr(0, left));
    DeadLetterSpool spool(file, 1 << 20, clock);
    ASSERT_TRUE(spool.Append({"web", "/a", {}, 0, 4, "r"}, "next"));
    EXPECT_EQ(spool.size_bytes(), std::filesystem::file_size(file));
    if (left < torn.size()) {
      EXPECT_THAT(ReadAll(file), ElementsAre("whole", "next")) << left;
    } else {
      EXPECT_THAT(ReadAll(file), ElementsAre("whole", "torn", "next"));
    }
  }
}

TEST(DeadLetterSpool, WhatIsNoRecordOfOursIsNotCut) {
  TempDir dir;
  store::SystemClock clock;
  for (const std::string& strange : {std::string("a note"), std::string(700, '\0')}) {
    Path file = dir / "dead.log";
    std::filesystem::remove(file);
    Append(file, strange);
    DeadLetterSpool spool(file, 1 << 20, clock);
    ASSERT_TRUE(spool.Append({"web", "/a", {}, 0, 4, "r"}, "next"));
    EXPECT_TRUE(store::ReadFile(file.string())->starts_with(strange));
    EXPECT_THAT(ReadAll(file), ElementsAre("damaged", "next"));
  }
}

TEST(DeadLetterReader, PassesOverADamagedStretchAndTellsItsPlace) {
  TempDir dir;
  Path file = dir / "dead.log";
  std::string one = OneRecord(dir.path(), "one");
  std::string torn =
      OneRecord(dir.path(), R"({"topic":"x"} {"topic":)" + std::string(300'000, 'x'));
  torn.resize(torn.size() - 10'000);
  std::string two = OneRecord(dir.path(), "two");
  Append(file, one + torn + two + torn);
  EXPECT_THAT(ReadAll(file), ElementsAre("one", "damaged", "two", "damaged"));
  auto reader = DeadLetterReader::Open(file);
  ASSERT_TRUE(reader->Next().has_value());
  auto damaged = reader->Next();
  ASSERT_FALSE(damaged.has_value());
  EXPECT_THAT(damaged.error().message(),
              AllOf(HasSubstr(file.string()), HasSubstr("at byte " + std::to_string(one.size())),
                    HasSubstr(std::to_string(torn.size()) + " bytes")));
}

// The length in its header may lead to a newline of a later record by chance. A line holds a
// newline at its end only: one behind another header is that header's.
TEST(DeadLetterReader, HalfARecordSwallowsNoWholeOnes) {
  TempDir dir;
  Path file = dir / "dead.log";
  std::string small = OneRecord(dir.path(), "s");
  for (size_t missing : {small.size(), 2 * small.size(), 3 * small.size() - 2}) {
    std::filesystem::remove(file);
    std::string torn = OneRecord(dir.path(), std::string(2000, 'x'));
    Append(file, torn.substr(0, torn.size() - missing) + small + small + small + small);
    EXPECT_THAT(ReadAll(file), ElementsAre("damaged", "s", "s", "s", "s")) << missing;
  }
}

TEST(DeadLetterSpool, GoesOnInANewFileWhenItsRecordsAreTakenAside) {
  TempDir dir;
  store::SystemClock clock;
  DeadLetterSpool spool(dir / "dead.log", 1 << 20, clock);
  ASSERT_TRUE(spool.Append({"web", "/a", {}, 0, 1, "r"}, "1"));
  auto aside = TakeSpoolAside(spool.file());
  ASSERT_TRUE(aside.has_value());
  ASSERT_TRUE(spool.Append({"web", "/a", {}, 0, 1, "r"}, "2"));
  auto old_reader = DeadLetterReader::Open(*aside);
  EXPECT_EQ((**old_reader->Next()).payload, "1");
  auto new_reader = DeadLetterReader::Open(spool.file());
  EXPECT_EQ((**new_reader->Next()).payload, "2");
}

}  // namespace
}  // namespace logagent
