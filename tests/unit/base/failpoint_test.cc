// SPDX-License-Identifier: Apache-2.0
#include "store/base/failpoint.h"

#include "store/base/clock.h"
#include "store/base/thread.h"
#include "tests/unit/base/failpoint_count.h"

#include <gtest/gtest.h>

#include <signal.h>

namespace store {
namespace {

using namespace std::chrono_literals;

// Compiled in only with the option; the tests of an unarmed build are the first one.
Status Write() {
  FAILPOINT("test-write");
  RETURN_IF_ERROR(FAILPOINT_STATUS("test-write-error"));
  return Ok();
}

class FailpointTest : public ::testing::Test {
 protected:
  ~FailpointTest() override { Failpoints::DisarmAll(); }
};

TEST_F(FailpointTest, UnarmedDoesNothing) {
  EXPECT_TRUE(Write());
  EXPECT_FALSE(FAILPOINT_BRANCH("test-branch"));
}

#ifdef SLUICE_FAILPOINTS

TEST_F(FailpointTest, InjectsTheNamedError) {
  ASSERT_TRUE(Failpoints::Parse("test-write-error=error(no_space)"));
  Status status = Write();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kNoSpace);
  Failpoints::DisarmAll();
  EXPECT_TRUE(Write());
}

TEST_F(FailpointTest, SkipsAndStopsAsToldAndCounts) {
  uint64_t before = CountOf("test-branch").fired;
  ASSERT_TRUE(Failpoints::Parse("test-branch=2+3*branch"));
  std::string taken;
  for (int i = 0; i < 8; ++i) taken += FAILPOINT_BRANCH("test-branch") ? 'x' : '.';
  EXPECT_EQ(taken, "..xxx...");
  EXPECT_EQ(CountOf("test-branch").fired - before, 3u);
}

TEST_F(FailpointTest, ProbabilityIsRespected) {
  ASSERT_TRUE(Failpoints::Parse("test-half=50%branch;test-never=0%branch"));
  int half = 0;
  for (int i = 0; i < 1000; ++i) {
    half += FAILPOINT_BRANCH("test-half") ? 1 : 0;
    ASSERT_FALSE(FAILPOINT_BRANCH("test-never"));
  }
  // Eight standard deviations.
  EXPECT_NEAR(half, 500, 127);
}

TEST_F(FailpointTest, SleepsAndDisarmingWakes) {
  ASSERT_TRUE(Failpoints::Parse("test-write=sleep(20)"));
  TimePoint start = SystemClock().Now();
  EXPECT_TRUE(Write());
  EXPECT_GE(SystemClock().Now() - start, 20ms);
  ASSERT_TRUE(Failpoints::Parse("test-write=sleep(600000)"));
  uint64_t before = CountOf("test-write").fired;
  Thread sleeper("sleeper", [] { (void)Write(); });
  while (CountOf("test-write").fired == before) std::this_thread::yield();
  Failpoints::DisarmAll();
}

TEST_F(FailpointTest, CrashKillsTheProcessAndNamesThePoint) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        (void)Failpoints::Parse("test-write=crash");
        (void)Write();
      },
      ::testing::KilledBySignal(SIGKILL), "failpoint test-write");
}

#endif

TEST_F(FailpointTest, WrongTextIsRefusedAsAWhole) {
  for (const char* text :
       {"x", "=crash", "x=", "x=boom", "x=sleep", "x=sleep(a)", "x=error(nonsense)", "x=crash(1)",
        "x=%crash", "x=error(io", "test-branch=branch;y=what"}) {
    Status status = Failpoints::Parse(text);
    ASSERT_FALSE(status) << text;
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(FAILPOINT_BRANCH("test-branch"));
  EXPECT_TRUE(Failpoints::Parse(""));
  EXPECT_TRUE(Failpoints::Parse(";test-branch=error;"));
}

}  // namespace
}  // namespace store
