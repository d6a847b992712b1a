// SPDX-License-Identifier: Apache-2.0
// EventLoop: one thread that waits on epoll and owns everything registered with it: sockets, timers
// and the actions posted to it. A turn is: ready sockets, mail of other threads, due timers,
// actions posted by the loop itself, then the turn hooks (connections write once there). So
// whatever a turn produced for a connection leaves in one writev, and a service that posts "send my
// bundle" on its first proposal of a turn sends one bundle per turn. Threads: Post and stats from
// any thread; everything else only on the loop. Bounds: mail is bounded by what its senders
// admitted (Executor::Post); sockets by the listener's limit.
#pragma once

#include "store/base/clock.h"
#include "store/base/executor.h"
#include "store/base/ids.h"
#include "store/base/mailbox.h"
#include "store/base/thread.h"
#include "store/rpc/timer_heap.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <vector>

namespace store::rpc {

// What owns a registered descriptor.
class Pollable {
 public:
  // `events` are those of epoll. May Forget itself or others.
  virtual void OnReady(uint32_t events) = 0;

 protected:
  ~Pollable() = default;
};

// Wants one call at the end of a turn; may be destroyed in it, but not while it is queued.
class TurnHook {
 public:
  virtual void OnTurnEnd() = 0;

 protected:
  ~TurnHook() = default;

 private:
  friend class EventLoop;
  bool queued_ = false;
};

struct LoopStats {
  uint64_t turns = 0;
  uint64_t events = 0;
  uint64_t actions = 0;
  uint64_t timers_run = 0;
  uint64_t busy_nanos = 0;      // not waiting
  uint64_t turn_nanos_max = 0;  // the longest turn so far
  uint64_t mail_waiting = 0;
  uint64_t timers_waiting = 0;
};

class EventLoop final : public Executor {
 public:
  // The clock must outlive the loop.
  EventLoop(LoopId id, const Clock& clock, std::string name = "io");
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Start();
  // Ends after the current turn; actions still waiting are dropped. Not from the loop itself.
  void Stop();

  void Post(Action action) override;
  TimerId After(Duration delay, Action action) override;
  void Cancel(TimerId timer) override;
  TimePoint Now() const override { return clock_.Now(); }

  LoopId id() const { return id_; }
  bool InLoop() const;
  LoopStats stats() const;

  // Level-triggered. The target must Forget before it is destroyed or its descriptor is closed.
  void Watch(int fd, uint32_t events, Pollable* target);
  void ChangeWatch(int fd, uint32_t events, Pollable* target);
  void Forget(int fd, Pollable* target);
  void AtTurnEnd(TurnHook* hook);
  void CancelTurnEnd(TurnHook* hook);
  // 64 KiB that the one who reads now may use until it returns to the loop.
  std::span<char> read_buffer() { return {read_buffer_.get(), kReadBufferBytes}; }

 private:
  static constexpr size_t kReadBufferBytes = 64 << 10;
  static constexpr int kEventsMax = 256;

  void Run();
  int WaitMillis();
  void RunReady(int count);
  void RunMail();
  void RunTimers();
  void RunPosted();
  void RunTurnHooks();
  void DropEverything();
  void Wake();

  const LoopId id_;
  const Clock& clock_;
  const std::string name_;
  int epoll_ = -1;
  int wake_fd_ = -1;
  Mailbox<Action> mail_;
  // True while the loop may be asleep: only then a sender pays for a write to the eventfd.
  std::atomic<bool> asleep_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<const void*> running_in_ = nullptr;

  std::vector<Action> mail_batch_;
  std::vector<Action> posted_;
  std::vector<Action> posted_batch_;
  std::vector<TurnHook*> hooks_;
  std::vector<TurnHook*> hooks_batch_;
  TimerHeap timers_;
  std::unique_ptr<epoll_event[]> ready_;
  int ready_count_ = 0;
  int ready_next_ = 0;
  std::unique_ptr<char[]> read_buffer_;

  struct Counters {
    std::atomic<uint64_t> turns = 0, events = 0, actions = 0, timers_run = 0, busy_nanos = 0,
                          turn_nanos_max = 0, timers_waiting = 0;
  };
  Counters counters_;
  Thread thread_;
};

}  // namespace store::rpc
