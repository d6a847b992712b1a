// SPDX-License-Identifier: Apache-2.0
#include "store/replica/disk_guard.h"

#include <gtest/gtest.h>

namespace store::replica {
namespace {

constexpr uint64_t kMiB = 1 << 20;

DiskRoom Judge(uint64_t total, uint64_t available, const DiskGuard::Signals& signals,
               DiskRoom before) {
  return DiskGuard::Judge({.segment_bytes = 2 * kMiB}, total, available, signals, before);
}

TEST(DiskGuard, ClosesBelowTheReserveAndOpensAQuarterAbove) {
  const uint64_t total = 2000 * kMiB;  // 5 %: a reserve of 100 MiB
  EXPECT_EQ(Judge(total, 100 * kMiB, {}, DiskRoom::kEnough), DiskRoom::kEnough);
  EXPECT_EQ(Judge(total, 100 * kMiB - 1, {}, DiskRoom::kEnough), DiskRoom::kLow);
  EXPECT_EQ(Judge(total, 125 * kMiB - 1, {}, DiskRoom::kLow), DiskRoom::kLow);
  EXPECT_EQ(Judge(total, 125 * kMiB, {}, DiskRoom::kLow), DiskRoom::kEnough);
  EXPECT_EQ(Judge(total, 125 * kMiB - 1, {}, DiskRoom::kNone), DiskRoom::kLow);
}

TEST(DiskGuard, ReserveIsTwoSegmentsAtLeastAndOneGibibyteAtMost) {
  EXPECT_EQ(Judge(64 * kMiB, 4 * kMiB - 1, {}, DiskRoom::kEnough), DiskRoom::kLow);
  EXPECT_EQ(Judge(64 * kMiB, 4 * kMiB, {}, DiskRoom::kEnough), DiskRoom::kEnough);
  const uint64_t large = 1 << 20;
  EXPECT_EQ(Judge(large * kMiB, 1024 * kMiB - 1, {}, DiskRoom::kEnough), DiskRoom::kLow);
  EXPECT_EQ(Judge(large * kMiB, 1024 * kMiB, {}, DiskRoom::kEnough), DiskRoom::kEnough);
}

// What only memory and log hold is still to be written.
TEST(DiskGuard, WhatIsUnflushedNeedsRoomToo) {
  const DiskGuard::Signals signals{.unflushed_bytes = 10 * kMiB};
  EXPECT_EQ(Judge(64 * kMiB, 14 * kMiB - 1, signals, DiskRoom::kEnough), DiskRoom::kLow);
  EXPECT_EQ(Judge(64 * kMiB, 14 * kMiB, signals, DiskRoom::kEnough), DiskRoom::kEnough);
}

// A compaction of everything fits beside what it replaces, up to what one compaction takes.
TEST(DiskGuard, ACompactionNeedsRoomToo) {
  const DiskGuard::Signals signals{.state_bytes = 20 * kMiB};
  EXPECT_EQ(Judge(64 * kMiB, 24 * kMiB - 1, signals, DiskRoom::kEnough), DiskRoom::kLow);
  EXPECT_EQ(Judge(64 * kMiB, 24 * kMiB, signals, DiskRoom::kEnough), DiskRoom::kEnough);
  const DiskGuard::Signals large{.state_bytes = 50'000 * kMiB};
  EXPECT_EQ(Judge(64 * kMiB, 1604 * kMiB, large, DiskRoom::kEnough), DiskRoom::kEnough);
}

// What was refused between two looks is told if a look agrees; above the mark there is room for it.
TEST(DiskGuard, ACallThatDoesNotFitMeansALowDisk) {
  constexpr DiskGuard::Signals kRefused{.refused_bytes = 2 * kMiB};
  EXPECT_EQ(Judge(64 * kMiB, 10 * kMiB - 1, kRefused, DiskRoom::kEnough), DiskRoom::kLow);
  EXPECT_EQ(Judge(64 * kMiB, 10 * kMiB, kRefused, DiskRoom::kEnough), DiskRoom::kEnough);
  EXPECT_EQ(Judge(64 * kMiB, 10 * kMiB - 1, {}, DiskRoom::kLow), DiskRoom::kLow);
  EXPECT_EQ(Judge(64 * kMiB, 10 * kMiB, kRefused, DiskRoom::kLow), DiskRoom::kEnough);
}

int64_t Allowed(uint64_t available, const DiskGuard::Signals& signals) {
  return DiskGuard::Allowed({.segment_bytes = 2 * kMiB}, 64 * kMiB, available, signals);
}

// The log, a file of the state, and that file again while it is compacted.
TEST(DiskGuard, AThirdOfWhatIsSpareMayBeAdmitted) {
  constexpr auto kOne = static_cast<int64_t>(kMiB);
  EXPECT_EQ(Allowed(34 * kMiB, {}), 10 * kOne);
  EXPECT_EQ(Allowed(34 * kMiB, {.unflushed_bytes = 6 * kMiB, .state_bytes = 6 * kMiB}), 6 * kOne);
  EXPECT_EQ(Allowed(34 * kMiB, {.admitted_bytes = 3 * kMiB}), 7 * kOne);
  EXPECT_EQ(Allowed(kMiB, {}), -kOne);
}

TEST(DiskAllowance, CountsFromWhereTheLookBegan) {
  DiskAllowance allowance;
  EXPECT_TRUE(allowance.TryTake(DiskAllowance::kPlenty));  // nobody has looked
  allowance.Grant(allowance.taken(), 10);
  EXPECT_TRUE(allowance.TryTake(4));
  const int64_t before_look = allowance.taken();
  EXPECT_TRUE(allowance.TryTake(6));
  EXPECT_EQ(allowance.refused(), 0);
  allowance.Grant(before_look, 10);  // the six came after it
  EXPECT_TRUE(allowance.TryTake(4));
  EXPECT_FALSE(allowance.TryTake(1));
}

TEST(DiskAllowance, ARefusedCallTakesNothingAndIsTold) {
  DiskAllowance allowance;
  allowance.Grant(allowance.taken(), 10);
  EXPECT_FALSE(allowance.TryTake(11));
  EXPECT_EQ(allowance.refused(), 11);
  EXPECT_EQ(allowance.taken(), 0);
  allowance.Grant(allowance.taken(), 10);
  EXPECT_EQ(allowance.refused(), 0);
  EXPECT_TRUE(allowance.TryTake(10));
  allowance.Grant(allowance.taken(), -1);
  EXPECT_FALSE(allowance.TryTake(1));
}

TEST(DiskAllowance, PlentyIsNotCounted) {
  DiskAllowance allowance;
  allowance.Grant(0, DiskAllowance::kPlenty);
  EXPECT_TRUE(allowance.TryTake(5));
  EXPECT_EQ(allowance.taken(), 0);
  allowance.Grant(0, DiskAllowance::kPlenty - 1);
  EXPECT_TRUE(allowance.TryTake(5));
  EXPECT_EQ(allowance.taken(), 5);
}

TEST(DiskGuard, AWriteThatWaitsMeansNoRoomWhateverIsFree) {
  EXPECT_EQ(Judge(64 * kMiB, 60 * kMiB, {.log_waits = true}, DiskRoom::kEnough), DiskRoom::kNone);
  EXPECT_EQ(Judge(64 * kMiB, 60 * kMiB, {.state_waits = true}, DiskRoom::kLow), DiskRoom::kNone);
}

}  // namespace
}  // namespace store::replica
