// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter.h"

#include "logagent/deliver/dead_letter_replay.h"
#include "store/base/file.h"
#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace logagent {
namespace {

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
