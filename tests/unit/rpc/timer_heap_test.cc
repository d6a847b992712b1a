// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/timer_heap.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

namespace store::rpc {
namespace {

TimePoint At(int64_t nanos) { return TimePoint(Duration(nanos)); }

TEST(TimerHeap, RunsInTheOrderOfDueTimeThenOfCreation) {
  TimerHeap heap;
  std::vector<int> ran;
  heap.Add(At(20), [&] { ran.push_back(3); });
  heap.Add(At(10), [&] { ran.push_back(1); });
  heap.Add(At(10), [&] { ran.push_back(2); });
  EXPECT_EQ(heap.NextDue(), At(10));
  EXPECT_FALSE(heap.PopDue(At(9)));
  while (Action action = heap.PopDue(At(100))) action();
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

TEST(TimerHeap, ACancelledTimerLeavesAtOnceAndItsIdIsNeverReused) {
  TimerHeap heap;
  auto first = heap.Add(At(1), [] {});
  EXPECT_TRUE(heap.Cancel(first));
  EXPECT_EQ(heap.size(), 0u);
  auto second = heap.Add(At(1), [] {});
  EXPECT_NE(first, second);
  EXPECT_FALSE(heap.Cancel(first));
  EXPECT_EQ(heap.size(), 1u);
}

TEST(TimerHeap, AgreesWithASortedMapOverRandomOperations) {
  Random random = SeededRandom("timer heap");
  TimerHeap heap;
  using Key = std::pair<TimePoint, uint64_t>;
  std::map<Key, TimerHeap::TimerId> model;
  std::map<TimerHeap::TimerId, Key> keys;
  uint64_t order = 0;
  uint64_t ran = 0;
  for (int i = 0; i < 20'000; ++i) {
    uint64_t pick = random.Below(10);
    if (pick < 5) {
      TimePoint due = At(static_cast<int64_t>(random.Below(1000)));
      uint64_t mine = ++order;
      auto id = heap.Add(due, [&ran, mine] { ran = mine; });
      model[{due, mine}] = id;
      keys[id] = {due, mine};
    } else if (pick < 8 && !keys.empty()) {
      auto victim = keys.begin();
      std::advance(victim, static_cast<ptrdiff_t>(random.Below(std::min<size_t>(keys.size(), 50))));
      EXPECT_TRUE(heap.Cancel(victim->first));
      model.erase(victim->second);
      keys.erase(victim);
    } else if (!model.empty()) {
      auto [key, id] = *model.begin();
      ASSERT_EQ(heap.NextDue(), key.first);
      Action action = heap.PopDue(At(1000));
      ASSERT_TRUE(action);
      action();
      ASSERT_EQ(ran, key.second);
      model.erase(key);
      keys.erase(id);
    }
    ASSERT_EQ(heap.size(), model.size());
  }
}

}  // namespace
}  // namespace store::rpc
