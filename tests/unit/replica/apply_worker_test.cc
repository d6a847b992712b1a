// SPDX-License-Identifier: Apache-2.0
// The apply thread's baton: the replica thread applies by itself while the apply thread has nothing
// to do, and hands over otherwise. What the sinks touch here is not guarded by anything else, so
// the preset `tsan` sees two threads in it at once; the order of the results is checked always.
#include "store/replica/apply_worker.h"

#include "tests/unit/apply/machine.h"
#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace store::replica {
namespace {

class ApplyWorkerTest : public ::testing::Test {
 protected:
  ApplySinks Sinks() {
    return {.events = [this](const mvcc::EventBatchPtr& events) { last_ = events->last; },
            .results =
                [this](const std::vector<apply::LoopResults>& results) {
                  for (const apply::LoopResults& loop : results) {
                    for (const apply::CallResult& result : loop.results) {
                      answered_.push_back(result.counter);
                    }
                  }
                },
            .report = [this](const apply::ApplyReport& report) { applied_ = report.applied; },
            .fatal = [](const Error& error) { FAIL() << error.ToString(); }};
  }
  std::vector<raft::EntryPtr> NextPut() {
    std::string data = machine_.make()(apply::PutOf(fmt::format("key{}", next_ % 50), "value"));
    return {apply::MakeEntry(++next_, std::move(data))};
  }
  // Everything handed over before has been applied.
  void WaitForApply(ApplyWorker& worker) {
    // Shared: who waits goes on while set_value still runs.
    auto done = std::make_shared<std::promise<void>>();
    worker.Run([done] { done->set_value(); });
    done->get_future().wait();
  }

  // What was handed over is done; the apply thread is about to say so.
  void WaitToApplyHere(ApplyWorker& worker) {
    std::vector<raft::EntryPtr> entries = NextPut();
    while (!worker.TryApplyHere(&entries)) std::this_thread::yield();
  }

  SystemClock clock_;
  apply::Machine machine_;
  uint64_t next_ = 0;
  // Of the apply thread, whoever that is.
  std::vector<uint64_t> answered_;
  Revision last_;
  raft::Index applied_;
  size_t actions_ = 0;
};

TEST_F(ApplyWorkerTest, TwoThreadsTakeTurnsInTheOrderOfTheLog) {
  constexpr uint64_t kEntries = 3000;
  Random random = SeededRandom("ApplyWorkerTest");
  ApplyWorker worker({}, machine_.state(), Sinks(), clock_, Logger());
  worker.Start();
  size_t handed = 0;
  size_t others = 0;
  while (next_ < kEntries - 1) {
    std::vector<raft::EntryPtr> entries = NextPut();
    if (random.Chance(0.5) && worker.TryApplyHere(&entries)) continue;
    worker.Post(std::move(entries));
    ++handed;
    if (random.Chance(0.1)) {
      worker.Run([this] { ++actions_; });
      ++others;
    }
    // Sometimes the apply thread finishes first, so that both ways are taken.
    if (random.Chance(0.3)) WaitForApply(worker);
  }
  WaitForApply(worker);
  WaitToApplyHere(worker);  // once at least, however the threads were scheduled
  worker.Stop();
  EXPECT_GT(handed, 0U);
  EXPECT_EQ(actions_, others);
  EXPECT_EQ(applied_, raft::Index(kEntries));
  ASSERT_EQ(answered_.size(), kEntries);
  for (size_t i = 0; i < answered_.size(); ++i) ASSERT_EQ(answered_[i], i + 1);
}

TEST_F(ApplyWorkerTest, NothingIsAppliedHereWhileTheOtherThreadHasWork) {
  ApplyWorker worker({}, machine_.state(), Sinks(), clock_, Logger());
  worker.Start();
  std::promise<void> begun;
  std::promise<void> release;
  worker.Run([&] {
    begun.set_value();
    release.get_future().wait();
  });
  begun.get_future().wait();
  std::vector<raft::EntryPtr> entries = NextPut();
  EXPECT_FALSE(worker.TryApplyHere(&entries));
  ASSERT_EQ(entries.size(), 1U) << "refused, so kept";
  worker.Post(std::move(entries));
  entries = NextPut();
  EXPECT_FALSE(worker.TryApplyHere(&entries)) << "it would overtake the one before";
  release.set_value();
  worker.Post(std::move(entries));
  WaitForApply(worker);
  worker.Stop();
  EXPECT_EQ(answered_, (std::vector<uint64_t>{1, 2}));
}

TEST_F(ApplyWorkerTest, ABatchThatTakesItsTimeCounts) {
  ApplyWorkerLimits limits;
  limits.slow_batch = Duration::max();
  for (const uint64_t slow : {0, 3}) {
    ApplyWorker worker(limits, machine_.state(), Sinks(), clock_, Logger());
    for (int i = 0; i < 3; ++i) {
      std::vector<raft::EntryPtr> entries = NextPut();
      ASSERT_TRUE(worker.TryApplyHere(&entries));
    }
    EXPECT_EQ(worker.slow_batches(), slow);
    limits.slow_batch = Duration::zero();
  }
}

}  // namespace
}  // namespace store::replica
