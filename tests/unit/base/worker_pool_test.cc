// SPDX-License-Identifier: Apache-2.0
#include "store/base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>

namespace store {
namespace {

constexpr WorkClass kRange{0};
constexpr WorkClass kHash{1};

TEST(WorkerPoolTest, RunsEverythingAccepted) {
  WorkerPool pool("pool", 3, {{"range", 3, 1000}});
  pool.Start();
  pool.Start();
  std::latch done(500);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(pool.TrySubmit(kRange, [&] { done.count_down(); }));
  done.wait();
  pool.Stop();
  pool.Stop();
}

TEST(WorkerPoolTest, OneClassCannotOccupyAllThreads) {
  WorkerPool pool("pool", 2, {{"range", 1, 10}, {"hash", 2, 10}});
  pool.Start();
  std::latch release(1);
  std::latch hashed(1);
  std::atomic<int> at_once = 0;
  std::latch ranges(3);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pool.TrySubmit(kRange, [&] {
      EXPECT_EQ(++at_once, 1);
      release.wait();
      --at_once;
      ranges.count_down();
    }));
  }
  ASSERT_TRUE(pool.TrySubmit(kHash, [&] { hashed.count_down(); }));
  hashed.wait();
  release.count_down();
  ranges.wait();
}

TEST(WorkerPoolTest, FullClassRefusesAndLeavesTheActionToTheCaller) {
  WorkerPool pool("pool", 1, {{"range", 1, 1}});
  ASSERT_TRUE(pool.TrySubmit(kRange, [] {}));
  bool ran = false;
  Action action = [&] { ran = true; };
  EXPECT_FALSE(pool.TrySubmit(kRange, std::move(action)));
  action();
  EXPECT_TRUE(ran);
  EXPECT_EQ(pool.waiting(kRange), 1u);
}

TEST(WorkerPoolTest, StopWaitsForWhatRunsAndDropsWhatWaits) {
  auto token = std::make_shared<int>(0);
  std::latch started(1);
  std::latch release(1);
  std::atomic<bool> finished = false;
  std::atomic<bool> second_ran = false;
  WorkerPool pool("pool", 1, {{"range", 1, 10}});
  pool.Start();
  ASSERT_TRUE(pool.TrySubmit(kRange, [&] {
    started.count_down();
    release.wait();
    finished = true;
  }));
  started.wait();
  ASSERT_TRUE(pool.TrySubmit(kRange, [&second_ran, token] { second_ran = true; }));
  EXPECT_EQ(pool.running(kRange), 1u);
  Thread stopper("stopper", [&] { pool.Stop(); });
  // The waiting action is dropped before the running one is waited for.
  while (pool.waiting(kRange) > 0) std::this_thread::yield();
  release.count_down();
  stopper.Join();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(second_ran);
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_FALSE(pool.TrySubmit(kRange, [] {}));
}

TEST(ThreadTest, IsJoinedByItsDestructorAndByAssignment) {
  std::atomic<int> runs = 0;
  {
    Thread thread("first", [&] { ++runs; });
    thread = Thread("second", [&] { ++runs; });
    EXPECT_GE(runs, 1);
    EXPECT_TRUE(thread.running());
  }
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace store
