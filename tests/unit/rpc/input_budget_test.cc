// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/input_budget.h"

#include <gtest/gtest.h>

namespace store::rpc {
namespace {

TEST(InputBudget, AShareTakesFromThePoolInPages) {
  InputPool pool(1 << 20);
  {
    InputShare share(pool, 64 << 10);
    EXPECT_EQ(pool.bytes(), 0u) << "an idle connection costs nothing";
    ASSERT_TRUE(share.TryTake(100));
    ASSERT_TRUE(share.TryTake(200));
    EXPECT_EQ(pool.bytes(), 4096u);
    ASSERT_TRUE(share.TryTake(5000));
    EXPECT_EQ(pool.bytes(), 8192u);
    share.Give(5300);
    EXPECT_EQ(share.bytes(), 0u);
    EXPECT_EQ(pool.bytes(), 4096u) << "a page stays for the next call";
  }
  EXPECT_EQ(pool.bytes(), 0u);
}

TEST(InputBudget, BothLimitsHold) {
  InputPool pool(16 << 10);
  InputShare first(pool, 10'000);
  InputShare second(pool, 10'000);
  EXPECT_FALSE(first.TryTake(10'001));
  ASSERT_TRUE(first.TryTake(10'000));
  EXPECT_FALSE(first.TryTake(1));
  EXPECT_FALSE(second.TryTake(5000)) << "12 KiB are granted to the first";
  ASSERT_TRUE(second.TryTake(4096));
  first.Give(10'000);
  EXPECT_TRUE(second.TryTake(5000));
}

}  // namespace
}  // namespace store::rpc
