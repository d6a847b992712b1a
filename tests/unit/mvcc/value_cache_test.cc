// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/value_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

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

// As a reader does it: looks first.
bool Read(ValueCache& cache, int64_t main) {
  if (!cache.Find(Id(main)).empty()) return true;
  cache.Add(Id(main), SharedBytes::Of(std::string(100, 'v')));
  return false;
}

TEST(ValueCache, WhatIsReadOnceReplacesLittle) {
  ValueCache cache(1 << 20);
  for (int64_t i = 1; i <= 20'000; ++i) Read(cache, i);
  std::vector<int64_t> there;
  for (int64_t i = 1; i <= 20'000; ++i) {
    if (!cache.Find(Id(i)).empty()) there.push_back(i);
  }
  ASSERT_GT(there.size(), 3000U);
  for (int64_t i = 20'001; i <= 24'000; ++i) Read(cache, i);
  size_t left = 0;
  for (const int64_t i : there) left += cache.Find(Id(i)).empty() ? 0 : 1;
  EXPECT_GT(left, there.size() * 8 / 10) << "of " << there.size();
}

TEST(ValueCache, WhatIsReadAgainAndAgainComesIn) {
  ValueCache cache(1 << 20);
  for (int64_t i = 1; i <= 20'000; ++i) Read(cache, i);
  int found = 0;
  for (int round = 0; round < 40; ++round) {
    found = 0;
    for (int64_t i = 50'001; i <= 50'500; ++i) found += Read(cache, i) ? 1 : 0;
  }
  EXPECT_GT(found, 450);
}

TEST(ValueCache, WhereHardlyAnythingIsFoundItIsPassedByUntilSomethingIs) {
  ValueCache cache(1 << 20);
  for (int64_t i = 1; i <= 300'000; ++i) Read(cache, i);
  size_t kept = 0;
  for (int64_t i = 400'001; i <= 404'000; ++i) {
    cache.Add(Id(i), SharedBytes::Of(std::string(100, 'v')));
    kept += cache.Find(Id(i)).empty() ? 0 : 1;
  }
  EXPECT_LT(kept, 4000U / 6);
  int found = 0;
  for (int round = 0; round < 100; ++round) {
    found = 0;
    for (int64_t i = 500'001; i <= 502'000; ++i) found += Read(cache, i) ? 1 : 0;
  }
  EXPECT_GT(found, 1600);
}

TEST(ValueCache, LeavesLargeValuesToTheEngine) {
  ValueCache cache(64 << 20);
  cache.Add(Id(1), SharedBytes::Of(std::string(ValueCache::kValueBytesMax + 1, 'v')));
  EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace store::mvcc
