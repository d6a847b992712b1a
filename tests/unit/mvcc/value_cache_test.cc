// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/value_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace store::mvcc {
namespace {

RecordId Id(int64_t main, uint32_t sub = 0) { return {Revision(main), sub}; }

TEST(ValueCache, GivesBackWhatWasPutIn) {
  ValueCache cache(1 << 20);
  EXPECT_TRUE(cache.Find(Id(2)).empty());
  cache.Add(Id(2), SharedBytes::Of("two"));
  cache.Add(Id(2, 1), SharedBytes::Of("two, second"));
  EXPECT_EQ(cache.Find(Id(2)).view(), "two");
  EXPECT_EQ(cache.Find(Id(2, 1)).view(), "two, second");
  cache.Clear();
  EXPECT_TRUE(cache.Find(Id(2)).empty());
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(ValueCache, StaysBelowItsBytesWhateverTheSizes) {
  ValueCache cache(1 << 20);
  for (int64_t i = 1; i <= 20'000; ++i) {
    cache.Add(Id(i), SharedBytes::Of(std::string(static_cast<size_t>(i % 5000) + 1, 'v')));
    ASSERT_LE(cache.bytes(), cache.bytes_max());
  }
  EXPECT_GT(cache.bytes(), cache.bytes_max() / 2);
}

TEST(ValueCache, SmallValuesStayWhileTheyFit) {
  ValueCache cache(1 << 20);
  for (int64_t i = 1; i <= 1000; ++i) cache.Add(Id(i), SharedBytes::Of(std::to_string(i)));
  int found = 0;
  for (int64_t i = 1; i <= 1000; ++i) {
    const SharedBytes value = cache.Find(Id(i));
    if (value.empty()) continue;
    EXPECT_EQ(value.view(), std::to_string(i));
    ++found;
  }
  EXPECT_GT(found, 900);
}

TEST(ValueCache, LeavesLargeValuesToTheEngine) {
  ValueCache cache(64 << 20);
  cache.Add(Id(1), SharedBytes::Of(std::string(ValueCache::kValueBytesMax + 1, 'v')));
  EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace store::mvcc
