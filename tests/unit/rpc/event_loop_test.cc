// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/event_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace store::rpc {
namespace {

using namespace std::chrono_literals;

class EventLoopTest : public ::testing::Test {
 protected:
  void SetUp() override { loop_.Start(); }
  // Runs on the loop and waits.
  void Run(Action action) {
    std::promise<void> done;
    loop_.Post([&] {
      action();
      done.set_value();
    });
    ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  }

  SystemClock clock_;
  EventLoop loop_{LoopId(0), clock_};
};

TEST_F(EventLoopTest, RunsMailInTheOrderOfEachThread) {
  constexpr int kThreads = 4;
  constexpr int kEach = 10'000;
  std::vector<int> last(kThreads, -1);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop_.Post([&, t, i] {
          auto& seen = last[static_cast<size_t>(t)];
          if (seen != i - 1) ++wrong;
          seen = i;
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  Run([] {});
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(last, std::vector<int>(kThreads, kEach - 1));
}

TEST_F(EventLoopTest, APostFromTheLoopNeverRunsInside) {
  std::vector<int> order;
  std::promise<void> done;
  loop_.Post([&] {
    loop_.Post([&] {
      order.push_back(2);
      done.set_value();
    });
    order.push_back(1);
  });
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(EventLoopTest, TimersRunInOrderAndNotEarly) {
  std::promise<void> done;
  std::vector<int> order;
  TimePoint begin = clock_.Now();
  TimePoint end;
  loop_.Post([&] {
    loop_.After(20ms, [&] {
      order.push_back(2);
      end = clock_.Now();
      done.set_value();
    });
    loop_.After(5ms, [&] { order.push_back(1); });
    auto never = loop_.After(10ms, [&] { order.push_back(99); });
    loop_.Cancel(never);
  });
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_GE(end - begin, Duration(20ms));
}

struct Hook final : TurnHook {
  explicit Hook(int* counter) : calls(counter) {}
  void OnTurnEnd() override { ++*calls; }
  int* calls;
};

TEST_F(EventLoopTest, AHookRunsOncePerTurnHoweverOftenItAsked) {
  int calls = 0;
  Hook hook(&calls);
  Run([&] {
    for (int i = 0; i < 5; ++i) loop_.AtTurnEnd(&hook);
  });
  Run([] {});
  EXPECT_EQ(calls, 1);
  Run([&] {
    loop_.AtTurnEnd(&hook);
    loop_.CancelTurnEnd(&hook);
  });
  Run([] {});
  EXPECT_EQ(calls, 1);
}

struct Pair final : Pollable {
  Pair(EventLoop* on, Pair** victim) : loop(on), other(victim) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  }
  ~Pair() {
    loop->Forget(fds[0], this);
    close(fds[0]);
    close(fds[1]);
  }
  void OnReady(uint32_t) override {
    delete *other;
    *other = nullptr;
    ++*calls;
    loop->Forget(fds[0], this);
    loop->Watch(fds[0], 0, this);
  }
  EventLoop* loop;
  Pair** other;
  int* calls = nullptr;
  int fds[2];
};

TEST_F(EventLoopTest, AReadyDescriptorForgottenInTheSameTurnIsNotCalled) {
  Pair* a = nullptr;
  Pair* b = nullptr;
  int calls = 0;
  Run([&] {
    a = new Pair(&loop_, &b);
    b = new Pair(&loop_, &a);
    for (Pair* each : {a, b}) {
      each->calls = &calls;
      ASSERT_EQ(write(each->fds[1], "x", 1), 1);
      loop_.Watch(each->fds[0], EPOLLIN, each);
    }
  });
  Run([] {});
  Run([&] {
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE((a == nullptr) != (b == nullptr));
    delete a;
    delete b;
  });
}

TEST(EventLoop, StopDropsWhatWaitsAndIsIdempotent) {
  SystemClock clock;
  EventLoop loop(LoopId(3), clock);
  auto held = std::make_shared<int>(1);
  loop.Post([held] {});
  loop.Start();
  loop.Post([&loop, held] { loop.After(1h, [held] {}); });
  loop.Stop();
  loop.Stop();
  loop.Post([held] {});
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace store::rpc
