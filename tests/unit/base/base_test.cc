// SPDX-License-Identifier: Apache-2.0
// The small headers: check, error, bytes, hash maps of bytes, clock, random.
#include "store/base/bytes.h"
#include "store/base/check.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hash.h"
#include "store/base/random.h"
#include "store/base/strong_type.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace store {
namespace {

TEST(CheckTest, PrintsExpressionAndValuesAndAborts) {
  EXPECT_DEATH(CHECK(1 > 2, "next {} match {}", 1, 2),
               "CHECK failed at .*base_test.cc:.*: 1 > 2: next 1 match 2");
  CHECK(2 > 1);
}

TEST(ErrorTest, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  size_t codes = 0;
  auto add = [&](ErrorCode first, ErrorCode last) {
    for (auto value = static_cast<uint16_t>(first); value <= static_cast<uint16_t>(last); ++value) {
      names.insert(Name(static_cast<ErrorCode>(value)));
      ++codes;
    }
  };
  add(ErrorCode::kOk, ErrorCode::kInternal);
  add(ErrorCode::kEmptyKey, ErrorCode::kRangeStreamRevisionFilter);
  EXPECT_EQ(names.size(), codes);
  EXPECT_EQ(names.count("unknown"), 0u);
  EXPECT_EQ(Name(static_cast<ErrorCode>(9999)), "unknown");
  EXPECT_EQ(Name(ErrorCode::kCompacted), "compacted");
}

TEST(ErrorTest, TextAndContext) {
  Error error(ErrorCode::kIo, "read x: broken");
  EXPECT_EQ(error.ToString(), "io: read x: broken");
  EXPECT_EQ(error.WithContext("wal").ToString(), "io: wal: read x: broken");
  EXPECT_EQ(Error(ErrorCode::kStopped).ToString(), "stopped");
  EXPECT_EQ(ErrnoError(ENOSPC, "write f").code(), ErrorCode::kNoSpace);
  EXPECT_EQ(ErrnoError(ENOENT, "open f").message(), "open f: No such file or directory");
}

Result<std::unique_ptr<int>> Make(bool good) {
  if (!good) return Fail(ErrorCode::kBusy, "no");
  return std::make_unique<int>(5);
}

Result<int> Use(bool good) {
  Result<std::unique_ptr<int>> made = Make(good);
  RETURN_IF_ERROR(made);
  RETURN_IF_ERROR(Make(good));
  return **made;
}

TEST(ErrorTest, ReturnIfErrorTakesResultsOfMoveOnlyTypes) {
  EXPECT_EQ(Use(true).value(), 5);
  EXPECT_EQ(Use(false).error().message(), "no");
}

TEST(BytesTest, SlicesShareTheOwner) {
  SharedBytes slice;
  {
    SharedBytes whole = SharedBytes::Copy("key=value");
    slice = whole.Slice(4, 5);
    EXPECT_EQ(slice.data(), whole.data() + 4);
  }
  EXPECT_EQ(slice.view(), "value");
  EXPECT_EQ(slice, SharedBytes::Of("value"));
}

TEST(BytesTest, HexAndPrintable) {
  EXPECT_EQ(ToHex(std::string_view("\0\xabz", 3)), "00ab7a");
  EXPECT_EQ(Printable(std::string_view("a\\b\0\xff", 5)), "a\\\\b\\x00\\xff");
  EXPECT_EQ(Printable("abcdef", 3), "abc...");
}

TEST(HashTest, MapsOfBytesFindViewsAndSharedBytes) {
  absl::flat_hash_map<std::string, int, BytesHash, BytesEq> map = {{"a", 1}};
  EXPECT_TRUE(map.contains(std::string_view("a")));
  EXPECT_TRUE(map.contains(SharedBytes::Copy("a")));
  EXPECT_FALSE(map.contains("b"));
}

struct TermTag {
  static constexpr bool kArithmetic = true;
};
using Term = StrongInt<TermTag, uint64_t>;

TEST(StrongIntTest, ComparesHashesAndCounts) {
  absl::flat_hash_set<Term> terms = {Term(1), Term(2), Term(1)};
  EXPECT_EQ(terms.size(), 2u);
  EXPECT_LT(Term(1), Term(2));
  EXPECT_EQ(Term(5) - Term(2), 3u);
  EXPECT_EQ(Term(5) + 1, Term(6));
  EXPECT_EQ(fmt::format("{}", Term(7)), "7");
}

TEST(ClockTest, SystemClockDoesNotGoBack) {
  SystemClock clock;
  TimePoint first = clock.Now();
  EXPECT_GE(clock.Now(), first);
  EXPECT_GT(clock.WallMicros(), 1'600'000'000'000'000);
}

// Written by an independent implementation of xoshiro256** and SplitMix64. Seeds in bug reports
// rely on it.
TEST(RandomTest, StreamsNeverChange) {
  Random random(42);
  EXPECT_EQ(random.Next(), 0x15780b2e0c2ec716u);
  EXPECT_EQ(random.Next(), 0x6104d9866d113a7eu);
  EXPECT_EQ(random.Next(), 0xae17533239e499a1u);
  Random disk = random.Fork("disk");
  EXPECT_EQ(disk.Next(), 0xe1e904284f391cd7u);
  EXPECT_EQ(disk.Next(), 0x5c5ac9814f9062bau);
}

TEST(RandomTest, ForkDependsOnSeedAndNameOnly) {
  Random a(7);
  Random b(7);
  (void)b.Next();
  EXPECT_EQ(a.Fork("net").Next(), b.Fork("net").Next());
  EXPECT_NE(a.Fork("net").Next(), a.Fork("disk").Next());
}

TEST(RandomTest, DistributionsStayInTheirRangeAndReachItsEnds) {
  Random random(1);
  std::vector<int> below(5);
  std::set<uint64_t> between;
  int hits = 0;
  for (int i = 0; i < 5000; ++i) {
    ++below.at(random.Below(5));
    between.insert(random.Between(10, 12));
    hits += random.Chance(0.25) ? 1 : 0;
    ASSERT_FALSE(random.Chance(0));
    ASSERT_TRUE(random.Chance(1));
    ASSERT_LT(random.Unit(), 1.0);
  }
  for (int count : below) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(between, (std::set<uint64_t>{10, 11, 12}));
  EXPECT_NEAR(hits, 1250, 200);
  EXPECT_EQ(random.Between(3, 3), 3u);
  (void)random.Between(0, ~uint64_t{0});
}

TEST(RandomTest, EntropyDiffers) { EXPECT_NE(EntropySeed(), EntropySeed()); }

}  // namespace
}  // namespace store
