// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter.h"

#include "store/base/file.h"
#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace logagent
