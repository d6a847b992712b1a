// SPDX-License-Identifier: Apache-2.0
// What a scrape makes of the allocator's figures. This program runs without jemalloc and plays its
// part: it knows figures as of the last time that the epoch was moved.
#include "store/server/allocator_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace {

size_t allocated_now = 0;
size_t allocated_at_epoch = 0;

}  // namespace

extern "C" int mallctl(const char* name, void* old, size_t* old_bytes, void* fresh, size_t) {
  const std::string_view asked = name;
  if (asked == "epoch" && fresh != nullptr) {
    allocated_at_epoch = allocated_now;
    return 0;
  }
  if (asked == "stats.retained") return ENOENT;
  if (!asked.starts_with("stats.") || *old_bytes != sizeof(size_t)) return EINVAL;
  const size_t value = asked == "stats.allocated" ? allocated_at_epoch : 7;
  std::memcpy(old, &value, sizeof(value));
  return 0;
}

namespace store::server {
namespace {

using testing::HasSubstr;

TEST(AllocatorMetrics, AreThoseOfTheMomentOfTheScrape) {
  Registry registry;
  const AllocatorMetrics metrics(registry);
  allocated_now = 1000;
  EXPECT_THAT(registry.Text(), HasSubstr("\nsluice_allocator_bytes{state=\"allocated\"} 1000\n"));
  allocated_now = 4096;
  const std::string page = registry.Text();
  for (const char* line : {"{state=\"allocated\"} 4096\n", "{state=\"active\"} 7\n",
                           "{state=\"resident\"} 7\n", "{state=\"metadata\"} 7\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(AllocatorMetrics, AFigureThatAReleaseLacksIsZero) {
  Registry registry;
  const AllocatorMetrics metrics(registry);
  EXPECT_THAT(registry.Text(), HasSubstr("\nsluice_allocator_bytes{state=\"retained\"} 0\n"));
}

}  // namespace
}  // namespace store::server
