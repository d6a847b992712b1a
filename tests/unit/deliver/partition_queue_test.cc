// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/partition_queue.h"

#include <gtest/gtest.h>

namespace logagent {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kBatch = 1'000'000;

// A hot file keeps the queue full while a batch is answered each `each`.
void Load(PartitionQueue& queue, store::TimePoint& now, milliseconds each, int batches) {
  for (int i = 0; i < batches; ++i) {
    while (queue.bytes() + kBatch / 4 <= queue.Limit(kBatch)) {
      queue.Taken(kBatch / 4, now);
    }
    now += each;
    queue.Answered(kBatch, now);
  }
}

TEST(PartitionQueue, HoldsWhatIsAnsweredInItsTimeAndNeverLessThanTheNextBatch) {
  store::TimePoint now{std::chrono::hours(1)};
  PartitionQueue queue(now);
  EXPECT_EQ(queue.Limit(kBatch), 2'500'000U);
  Load(queue, now, milliseconds(2), 200);  // 500 MB/s
  EXPECT_EQ(queue.Limit(kBatch), 16'000'000U);
  Load(queue, now, milliseconds(10), 30);  // 100 MB/s
  EXPECT_EQ(queue.Limit(kBatch), 4'000'000U);
  Load(queue, now, milliseconds(200), 30);
  EXPECT_EQ(queue.Limit(kBatch), 2'500'000U);
}

TEST(PartitionQueue, TimeWithoutLinesIsNoSlowness) {
  store::TimePoint now{std::chrono::hours(1)};
  PartitionQueue queue(now);
  Load(queue, now, milliseconds(10), 100);
  queue.Answered(queue.bytes(), now);
  uint64_t before = queue.Limit(kBatch);
  now += std::chrono::hours(1);
  queue.Taken(100, now);
  now += milliseconds(5);
  queue.Answered(100, now);
  EXPECT_EQ(queue.Limit(kBatch), before);
}

}  // namespace
}  // namespace logagent
