// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/ack_tracker.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace logagent {
namespace {

TEST(AckTracker, MarkMovesOverTheAcknowledgedPrefixOnly) {
  AckTracker tracker(100, 7);
  RangeId a = tracker.Begin(110);
  RangeId b = tracker.Begin(120);
  RangeId c = tracker.Begin(130);
  EXPECT_EQ(tracker.Ack(c), std::nullopt);
  EXPECT_EQ(tracker.Ack(a), 110U);
  EXPECT_EQ(tracker.Ack(a), std::nullopt);
  EXPECT_EQ(tracker.Ack(b), 130U);
  EXPECT_EQ(tracker.in_flight_bytes(), 0U);
}

TEST(AckTracker, RejectedRangeHoldsTheMarkUntilReset) {
  AckTracker tracker(0, 1);
  RangeId a = tracker.Begin(10);
  RangeId b = tracker.Begin(20);
  tracker.Reject(a);
  EXPECT_EQ(tracker.Ack(b), std::nullopt);
  EXPECT_TRUE(tracker.rejected());
  EXPECT_EQ(tracker.unanswered(), 0U);
  EXPECT_EQ(tracker.low_water(), 0U);
  tracker.Reset(0);
  EXPECT_FALSE(tracker.rejected());
  EXPECT_EQ(tracker.Ack(b), std::nullopt);
  EXPECT_EQ(tracker.Ack(tracker.Begin(10)), 10U);
}

TEST(AckTracker, RangesTellWhoseTheyAre) {
  AckTracker one(0, 1);
  AckTracker two(0, 2);
  EXPECT_EQ(AckTracker::SeriesOf(one.Begin(10)), 1U);
  EXPECT_EQ(AckTracker::SeriesOf(two.Begin(10)), 2U);
  EXPECT_NE(one.NextRange(), two.NextRange());
  one.Reset(0);
  EXPECT_EQ(one.series(), 1U);
}

// The obvious way: every byte range with a flag, the mark found by walking from the start.
class NaiveTracker {
 public:
  explicit NaiveTracker(uint64_t start) : low_(start) {}
  void Begin(RangeId id, uint64_t end) { ranges_[id.value()] = {end, false}; }
  void Ack(RangeId id) {
    auto at = ranges_.find(id.value());
    if (at != ranges_.end()) {
      at->second.second = true;
    }
  }
  uint64_t Low() {
    while (!ranges_.empty() && ranges_.begin()->second.second) {
      low_ = ranges_.begin()->second.first;
      ranges_.erase(ranges_.begin());
    }
    return low_;
  }
  void Reset(uint64_t offset) {
    ranges_.clear();
    low_ = offset;
  }

 private:
  std::map<uint64_t, std::pair<uint64_t, bool>> ranges_;
  uint64_t low_;
};

TEST(AckTracker, AgreesWithTheNaiveModelOverManySteps) {
  store::Random random = store::SeededRandom("ack_tracker");
  AckTracker tracker(0, 1);
  NaiveTracker model(0);
  std::vector<RangeId> open;
  for (int step = 0; step < 100'000; ++step) {
    uint64_t choice = random.Below(1000);
    if (choice < 480 || open.empty()) {
      uint64_t end = tracker.high_water() + 1 + random.Below(5000);
      RangeId next = tracker.NextRange();
      RangeId id = tracker.Begin(end);
      ASSERT_EQ(id, next);
      model.Begin(id, end);
      open.push_back(id);
    } else if (choice < 998) {
      size_t at = random.Below(std::min<size_t>(open.size(), 50));
      uint64_t before = tracker.low_water();
      auto moved = tracker.Ack(open[at]);
      model.Ack(open[at]);
      open.erase(open.begin() + static_cast<ptrdiff_t>(at));
      ASSERT_EQ(moved.has_value(), tracker.low_water() != before);
    } else {
      model.Reset(tracker.low_water());
      tracker.Reset(tracker.low_water());
      open.clear();
    }
    ASSERT_EQ(tracker.low_water(), model.Low()) << "step " << step;
    ASSERT_EQ(tracker.unanswered(), open.size());
  }
}

}  // namespace
}  // namespace logagent
