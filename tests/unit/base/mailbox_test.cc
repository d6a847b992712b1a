// SPDX-License-Identifier: Apache-2.0
#include "store/base/mailbox.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

namespace store {
namespace {

using std::chrono_literals::operator""s;
using Box = Mailbox<std::unique_ptr<int>>;

TimePoint In(Duration duration) { return SystemClock().Now() + duration; }

TEST(MailboxTest, RefusedItemStaysWithItsOwner) {
  Box box({.items_max = 1, .bytes_max = 100});
  ASSERT_TRUE(box.TryPost(std::make_unique<int>(1), 10));
  auto item = std::make_unique<int>(2);
  EXPECT_FALSE(box.TryPost(std::move(item), 10));
  ASSERT_TRUE(item);
  std::vector<std::unique_ptr<int>> out;
  box.Drain(&out);
  EXPECT_TRUE(box.TryPost(std::move(item), 10));
}

TEST(MailboxTest, ByteLimitAdmitsOneItemOfAnySize) {
  Box box({.items_max = 10, .bytes_max = 100});
  EXPECT_TRUE(box.TryPost(std::make_unique<int>(1), 1000));
  EXPECT_FALSE(box.TryPost(std::make_unique<int>(2), 1));
  EXPECT_EQ(box.bytes(), 1000u);
}

TEST(MailboxTest, ReservedItemsPassAFullBoxAndTakeNoRoomFromOthers) {
  Box box({.items_max = 1, .bytes_max = 100});
  box.PostReserved(std::make_unique<int>(1), 1000);
  EXPECT_TRUE(box.TryPost(std::make_unique<int>(2), 100));
  box.PostReserved(std::make_unique<int>(3), 1000);
  EXPECT_EQ(box.items(), 3u);
  EXPECT_EQ(box.bytes(), 2100u);
}

TEST(MailboxTest, WakesOnceForEachTimeItStopsBeingEmpty) {
  std::atomic<int> wakes = 0;
  Box box({.items_max = 10, .bytes_max = 100}, [&] { ++wakes; });
  box.PostReserved(std::make_unique<int>(1));
  EXPECT_TRUE(box.TryPost(std::make_unique<int>(2), 1));
  EXPECT_EQ(wakes, 1);
  std::vector<std::unique_ptr<int>> out;
  box.Drain(&out);
  EXPECT_TRUE(box.TryPost(std::make_unique<int>(3), 1));
  EXPECT_EQ(wakes, 2);
  box.Close();
  box.Close();
  EXPECT_EQ(wakes, 3);
}

TEST(MailboxTest, ClosedBoxRefusesButCanBeDrained) {
  Box box({.items_max = 10, .bytes_max = 100});
  ASSERT_TRUE(box.TryPost(std::make_unique<int>(1), 1));
  box.Close();
  EXPECT_FALSE(box.TryPost(std::make_unique<int>(2), 1));
  box.PostReserved(std::make_unique<int>(3));
  EXPECT_TRUE(box.Wait());
  std::vector<std::unique_ptr<int>> out;
  box.Drain(&out);
  EXPECT_EQ(out.size(), 1u);
  EXPECT_FALSE(box.Wait());
}

TEST(MailboxTest, WaitEndsAtTheDeadline) {
  Box box({.items_max = 10, .bytes_max = 100});
  EXPECT_FALSE(box.Wait(SystemClock().Now()));
  EXPECT_FALSE(box.Wait(In(std::chrono::milliseconds(5))));
}

TEST(MailboxTest, CloseEndsAWaitWithoutDeadline) {
  Box box({.items_max = 10, .bytes_max = 100});
  Thread consumer("consumer", [&] { EXPECT_FALSE(box.Wait()); });
  box.Close();
  consumer.Join();
}

// The same calls against the plainest description of the limits.
TEST(MailboxTest, AgreesWithTheNaiveModel) {
  Random random = SeededRandom("mailbox");
  for (int round = 0; round < 50; ++round) {
    MailboxLimits limits{.items_max = random.Between(1, 6), .bytes_max = random.Between(1, 50)};
    int wakes = 0;
    int model_wakes = 0;
    Mailbox<int> box(limits, [&] { ++wakes; });
    std::vector<int> model;
    std::vector<size_t> admitted;
    size_t bytes = 0;
    for (int step = 0; step < 200; ++step) {
      size_t item_bytes = random.Below(30);
      size_t admitted_bytes = 0;
      for (size_t b : admitted) admitted_bytes += b;
      bool room = admitted.size() < limits.items_max &&
                  (admitted.empty() || admitted_bytes + item_bytes <= limits.bytes_max);
      uint64_t action = random.Below(10);
      if (action == 0) {
        std::vector<int> out = {-1};
        box.Drain(&out);
        model.insert(model.begin(), -1);
        ASSERT_EQ(out, model);
        model.clear();
        admitted.clear();
        bytes = 0;
      } else if (action < 8) {
        ASSERT_EQ(box.TryPost(int{step}, item_bytes), room);
        if (room) admitted.push_back(item_bytes);
      } else {
        box.PostReserved(step, item_bytes);
        room = true;
      }
      if (action != 0 && room) {
        model_wakes += model.empty() ? 1 : 0;
        model.push_back(step);
        bytes += item_bytes;
      }
      ASSERT_EQ(box.items(), model.size());
      ASSERT_EQ(box.bytes(), bytes);
      ASSERT_EQ(wakes, model_wakes);
    }
  }
}

TEST(MailboxTest, ManyPostersLoseNothingAndKeepTheirOrder) {
  constexpr int kPosters = 4;
  constexpr int kItems = 5000;
  Mailbox<std::pair<int, int>> box({.items_max = 64, .bytes_max = 1000});
  std::vector<Thread> posters;
  for (int poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back("poster", [&box, poster] {
      for (int i = 0; i < kItems; ++i) {
        while (!box.TryPost({poster, i}, 10)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(kPosters, 0);
  int received = 0;
  while (received < kPosters * kItems) {
    ASSERT_TRUE(box.Wait(In(30s)));
    std::vector<std::pair<int, int>> out;
    box.Drain(&out);
    ASSERT_LE(out.size(), 64u);
    for (auto [poster, i] : out) {
      ASSERT_EQ(i, next[static_cast<size_t>(poster)]++);
      ++received;
    }
  }
}

}  // namespace
}  // namespace store
