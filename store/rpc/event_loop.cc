// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/event_loop.h"

#include "store/base/check.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace store::rpc {
namespace {

// Its address names the thread.
thread_local char this_thread_marker = 0;

void Bump(std::atomic<uint64_t>& counter, uint64_t by) {
  // One writer: no need of an atomic addition.
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

EventLoop::EventLoop(LoopId id, const Clock& clock, std::string name)
    : id_(id),
      clock_(clock),
      name_(std::move(name)),
      mail_({std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max()},
            [this] { Wake(); }),
      ready_(new epoll_event[kEventsMax]),
      read_buffer_(new char[kReadBufferBytes]) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  CHECK(epoll_ >= 0, "epoll_create1: errno {}", errno);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  CHECK(wake_fd_ >= 0, "eventfd: errno {}", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_fd_, &event) == 0);
}

EventLoop::~EventLoop() {
  Stop();
  DropEverything();
  close(wake_fd_);
  close(epoll_);
}

void EventLoop::Start() {
  CHECK(!thread_.running());
  thread_ = Thread(name_, [this] { Run(); });
}

void EventLoop::Stop() {
  CHECK(!InLoop());
  stop_.store(true, std::memory_order_seq_cst);
  uint64_t one = 1;
  // Only a full counter can refuse, and then the loop is awake anyway.
  (void)!write(wake_fd_, &one, sizeof one);
  thread_.Join();
  mail_.Close();
}

bool EventLoop::InLoop() const {
  return running_in_.load(std::memory_order_relaxed) == &this_thread_marker;
}

void EventLoop::Post(Action action) {
  if (InLoop()) {
    posted_.push_back(std::move(action));
  } else {
    mail_.PostReserved(std::move(action));
  }
}

Executor::TimerId EventLoop::After(Duration delay, Action action) {
  return timers_.Add(clock_.Now() + delay, std::move(action));
}

void EventLoop::Cancel(TimerId timer) { timers_.Cancel(timer); }

LoopStats EventLoop::stats() const {
  LoopStats stats;
  stats.turns = counters_.turns.load(std::memory_order_relaxed);
  stats.events = counters_.events.load(std::memory_order_relaxed);
  stats.actions = counters_.actions.load(std::memory_order_relaxed);
  stats.timers_run = counters_.timers_run.load(std::memory_order_relaxed);
  stats.busy_nanos = counters_.busy_nanos.load(std::memory_order_relaxed);
  stats.turn_nanos_max = counters_.turn_nanos_max.load(std::memory_order_relaxed);
  stats.timers_waiting = counters_.timers_waiting.load(std::memory_order_relaxed);
  stats.mail_waiting = mail_.items();
  return stats;
}

void EventLoop::Watch(int fd, uint32_t events, Pollable* target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = target;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, "fd {} errno {}", fd, errno);
}

void EventLoop::ChangeWatch(int fd, uint32_t events, Pollable* target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = target;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0, "fd {} errno {}", fd, errno);
}

void EventLoop::Forget(int fd, Pollable* target) {
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0, "fd {} errno {}", fd, errno);
  // It may be among the events of this turn that have not been looked at.
  for (int i = ready_next_; i < ready_count_; ++i) {
    if (ready_[i].data.ptr == target) ready_[i].data.ptr = nullptr;
  }
}

void EventLoop::AtTurnEnd(TurnHook* hook) {
  if (hook->queued_) return;
  hook->queued_ = true;
  hooks_.push_back(hook);
}

void EventLoop::CancelTurnEnd(TurnHook* hook) {
  if (!hook->queued_) return;
  hook->queued_ = false;
  std::replace(hooks_.begin(), hooks_.end(), hook, static_cast<TurnHook*>(nullptr));
  std::replace(hooks_batch_.begin(), hooks_batch_.end(), hook, static_cast<TurnHook*>(nullptr));
}

void EventLoop::Wake() {
  // Pairs with the fence in WaitMillis: either this thread sees the loop going to sleep, or the
  // loop sees the mail that was just queued.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!asleep_.load(std::memory_order_relaxed)) return;
  uint64_t one = 1;
  (void)!write(wake_fd_, &one, sizeof one);
}

int EventLoop::WaitMillis() {
  if (!posted_.empty() || !hooks_.empty()) return 0;
  asleep_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (mail_.items() > 0 || stop_.load(std::memory_order_relaxed)) return 0;
  std::optional<TimePoint> due = timers_.NextDue();
  if (!due) return -1;
  Duration wait = *due - clock_.Now();
  if (wait <= Duration::zero()) return 0;
  // Rounded up: waking a little late beats spinning through the last millisecond.
  int64_t millis = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(std::min<int64_t>(millis, 60'000));
}

void EventLoop::Run() {
  running_in_.store(&this_thread_marker, std::memory_order_relaxed);
  while (!stop_.load(std::memory_order_relaxed)) {
    int count = epoll_wait(epoll_, ready_.get(), kEventsMax, WaitMillis());
    asleep_.store(false, std::memory_order_relaxed);
    CHECK(count >= 0 || errno == EINTR, "epoll_wait: errno {}", errno);
    TimePoint begin = clock_.Now();
    RunReady(std::max(count, 0));
    RunMail();
    RunTimers();
    RunPosted();
    RunTurnHooks();
    auto spent = static_cast<uint64_t>((clock_.Now() - begin).count());
    Bump(counters_.turns, 1);
    Bump(counters_.busy_nanos, spent);
    counters_.timers_waiting.store(timers_.size(), std::memory_order_relaxed);
    if (spent > counters_.turn_nanos_max.load(std::memory_order_relaxed)) {
      counters_.turn_nanos_max.store(spent, std::memory_order_relaxed);
    }
  }
  DropEverything();
  running_in_.store(nullptr, std::memory_order_relaxed);
}

void EventLoop::RunReady(int count) {
  ready_count_ = count;
  for (ready_next_ = 0; ready_next_ < ready_count_;) {
    epoll_event event = ready_[ready_next_++];
    if (event.data.ptr != nullptr) static_cast<Pollable*>(event.data.ptr)->OnReady(event.events);
  }
  ready_count_ = 0;
  Bump(counters_.events, static_cast<uint64_t>(count));
}

void EventLoop::RunMail() {
  if (mail_.items() == 0) return;
  mail_.Drain(&mail_batch_);
  for (Action& action : mail_batch_) action();
  Bump(counters_.actions, mail_batch_.size());
  mail_batch_.clear();
}

void EventLoop::RunTimers() {
  if (timers_.size() == 0) return;
  TimePoint now = clock_.Now();
  while (Action action = timers_.PopDue(now)) {
    action();
    Bump(counters_.timers_run, 1);
  }
}

void EventLoop::RunPosted() {
  if (posted_.empty()) return;
  posted_batch_.swap(posted_);
  for (Action& action : posted_batch_) action();
  Bump(counters_.actions, posted_batch_.size());
  posted_batch_.clear();
}

void EventLoop::RunTurnHooks() {
  hooks_batch_.swap(hooks_);
  for (size_t i = 0; i < hooks_batch_.size(); ++i) {
    TurnHook* hook = hooks_batch_[i];
    if (hook == nullptr) continue;
    hook->queued_ = false;
    hook->OnTurnEnd();
  }
  hooks_batch_.clear();
}

void EventLoop::DropEverything() {
  // Destroying a closure may post or cancel; what it posts is dropped with the next round.
  timers_.Clear();
  mail_.Close();
  std::vector<Action> dropped;
  mail_.Drain(&dropped);
  while (!dropped.empty() || !posted_.empty()) {
    dropped.clear();
    dropped.swap(posted_);
  }
}

}  // namespace store::rpc
