// SPDX-License-Identifier: Apache-2.0
// What one simulated process runs on. Host is the process itself: events of a killed one never run,
// those of a paused one run when it wakes, all at once and in their order. SimClock is what it
// believes the time is: a rate of its own that may change, and a wall clock that may jump.
// SimThread stands for a thread with a mailbox: what was posted until its turn comes runs in that
// turn, in order, after which `on_turn_end` runs. All in the one thread of the simulation; a Host
// outlives what runs on it.
#pragma once

#include "store/base/clock.h"
#include "store/base/executor.h"
#include "store/base/random.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/own_time.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>

namespace store::sim {

class SimClock final : public Clock {
 public:
  SimClock(const EventQueue& events, double rate) : events_(events), own_(rate) {}

  TimePoint Now() const override {
    return TimePoint(std::chrono::seconds(1000)) + std::chrono::microseconds(Passed());
  }
  int64_t WallMicros() const override { return kWallStart + Passed() + jumped_; }

  void SetRate(double rate) { own_.SetRate(events_.now(), rate); }
  void JumpWall(Time by) { jumped_ += by; }
  // How long virtual time takes until `own` has passed on this clock at its present rate.
  Time VirtualFor(Duration own) const {
    return own_.VirtualFor(std::chrono::duration_cast<std::chrono::microseconds>(own).count());
  }

 private:
  static constexpr int64_t kWallStart = 1'700'000'000'000'000;
  Time Passed() const { return own_.At(events_.now()); }

  const EventQueue& events_;
  OwnTime own_;
  Time jumped_ = 0;
};

class Host {
 public:
  Host(EventQueue* events, Random random)
      : random_(random), state_(std::make_shared<State>(State{events, true, 0, {}})) {}
  ~Host() { Kill(); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void Later(Time delay, EventQueue::Event event) {
    state_->events->After(delay, Guarded(std::move(event)));
  }
  void PauseUntil(Time time) {
    state_->paused_until = std::max(state_->paused_until, time);
    state_->events->At(time, [state = state_] { Release(state); });
  }
  void Wake() {
    state_->paused_until = 0;
    Release(state_);
  }
  void Kill() {
    state_->alive = false;
    state_->parked.clear();
  }
  bool paused() const { return state_->paused_until > state_->events->now(); }
  Random& random() { return random_; }
  // Uniform around `mean`.
  Time Draw(Time mean) {
    return static_cast<Time>(random_.Below(2 * static_cast<uint64_t>(mean) + 1));
  }
  EventQueue& events() { return *state_->events; }

 private:
  struct State {
    EventQueue* events;
    bool alive;
    Time paused_until;
    std::deque<EventQueue::Event> parked;  // due while it is paused
  };
  EventQueue::Event Guarded(EventQueue::Event event) {
    return [state = state_, event = std::move(event)]() mutable {
      if (!state->alive) return;
      if (state->paused_until > state->events->now()) {
        state->parked.push_back(std::move(event));
      } else {
        event();
      }
    };
  }
  static void Release(const std::shared_ptr<State>& state) {
    if (state->paused_until > state->events->now()) return;
    for (EventQueue::Event& event : std::exchange(state->parked, {})) {
      state->events->After(0, [state, event = std::move(event)]() mutable {
        if (state->alive) event();
      });
    }
  }

  Random random_;
  std::shared_ptr<State> state_;
};

class SimThread final : public Executor {
 public:
  // A turn comes `turn_mean` after the first post; one in a hundred twenty times as late.
  SimThread(Host& host, const SimClock& clock, Time turn_mean, Action on_turn_end = {})
      : host_(host), clock_(clock), turn_mean_(turn_mean), on_turn_end_(std::move(on_turn_end)) {}

  void Post(Action action) override {
    posted_.push_back(std::move(action));
    if (std::exchange(due_, true)) return;
    Time delay = host_.Draw(turn_mean_);
    if (host_.random().Chance(0.01)) delay *= 20;
    host_.Later(delay, [this] { RunTurn(); });
  }
  TimerId After(Duration delay, Action action) override {
    TimerId id = next_timer_++;
    timers_.emplace(id, Timer{Now() + delay, std::move(action)});
    Await(id, delay);
    return id;
  }
  void Cancel(TimerId timer) override { timers_.erase(timer); }
  TimePoint Now() const override { return clock_.Now(); }
  bool idle() const { return posted_.empty(); }

 private:
  struct Timer {
    TimePoint due;
    Action action;
  };
  // In steps, for the rate of the clock may change meanwhile.
  void Await(TimerId id, Duration left) {
    constexpr Duration kStep = std::chrono::milliseconds(300);
    host_.Later(clock_.VirtualFor(std::min(left, kStep)), [this, id] {
      auto timer = timers_.find(id);
      if (timer == timers_.end()) return;
      if (timer->second.due > Now()) return Await(id, timer->second.due - Now());
      Post(std::move(timer->second.action));
      timers_.erase(timer);
    });
  }
  void RunTurn() {
    due_ = false;
    for (Action& action : std::exchange(posted_, {})) action();
    if (on_turn_end_) on_turn_end_();
  }

  Host& host_;
  const SimClock& clock_;
  const Time turn_mean_;
  Action on_turn_end_;
  std::deque<Action> posted_;
  bool due_ = false;
  std::map<TimerId, Timer> timers_;
  TimerId next_timer_ = 1;
};

// SimPool stands for threads that run each piece of work some time later. What is waiting goes with
// it: what works on a state must not outlive that.
class SimPool {
 public:
  SimPool(Host& host, Time mean) : host_(host), mean_(mean) {}

  void Run(Action action) {
    uint64_t number = ++last_;
    waiting_.emplace(number, std::move(action));
    host_.Later(host_.Draw(mean_), [this, number] {
      auto work = waiting_.extract(number);
      work.mapped()();
    });
  }

 private:
  Host& host_;
  const Time mean_;
  std::map<uint64_t, Action> waiting_;
  uint64_t last_ = 0;
};

}  // namespace store::sim
