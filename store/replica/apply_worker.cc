// SPDX-License-Identifier: Apache-2.0
#include "store/replica/apply_worker.h"

#include "store/base/failpoint.h"

#include <iterator>
#include <limits>
#include <utility>

namespace store::replica {

ApplyWorker::ApplyWorker(const ApplyWorkerLimits& limits, apply::StateMachine& machine,
                         ApplySinks sinks, const Clock& clock, Logger log)
    : limits_(limits),
      machine_(machine),
      sinks_(std::move(sinks)),
      clock_(clock),
      log_(std::move(log)),
      mailbox_({limits.actions_max, std::numeric_limits<size_t>::max()}) {}

void ApplyWorker::Start() {
  thread_ = Thread("apply", [this] { Work(); });
}

void ApplyWorker::StopWaiting() {
  {
    MutexLock lock(stop_mutex_);
    stopping_ = true;
  }
  stop_signal_.NotifyAll();
}

void ApplyWorker::Stop() {
  StopWaiting();
  mailbox_.Close();
  thread_.Join();
}

void ApplyWorker::Post(std::vector<raft::EntryPtr> entries) {
  mailbox_.PostReserved(Item(std::move(entries)));
}

bool ApplyWorker::TryApplyHere(std::vector<raft::EntryPtr>* entries) {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  const bool idle = mailbox_.items() == 0 && !mailbox_.closed();
  if (idle) (void)ApplyAll(entries);
  End();
  return idle;
}

bool ApplyWorker::TryRun(Action&& action) {
  Item item(std::move(action));
  if (mailbox_.TryPost(std::move(item), 0)) return true;
  action = std::move(std::get<Action>(item));
  return false;
}

void ApplyWorker::Run(Action action) { mailbox_.PostReserved(Item(std::move(action))); }

void ApplyWorker::Work() {
  std::vector<Item> items;
  std::vector<raft::EntryPtr> entries;
  while (mailbox_.Wait() && !mailbox_.closed()) {
    Begin();
    items.clear();
    mailbox_.Drain(&items);
    for (Item& item : items) {
      if (auto* more = std::get_if<std::vector<raft::EntryPtr>>(&item)) {
        entries.insert(entries.end(), std::make_move_iterator(more->begin()),
                       std::make_move_iterator(more->end()));
        continue;
      }
      if (!ApplyAll(&entries)) return;
      std::get<Action>(item)();
    }
    if (!ApplyAll(&entries)) return;
    End();
  }
}

void ApplyWorker::Begin() {
  while (busy_.exchange(true, std::memory_order_acquire)) busy_.wait(true);
}

void ApplyWorker::End() {
  busy_.store(false, std::memory_order_release);
  busy_.notify_one();
}

bool ApplyWorker::ApplyAll(std::vector<raft::EntryPtr>* entries) {
  std::span<const raft::EntryPtr> left(*entries);
  while (!left.empty()) {
    size_t taken = 0;
    if (!ApplySome(left, &taken)) return false;
    left = left.subspan(taken);
  }
  entries->clear();
  return true;
}

bool ApplyWorker::ApplySome(std::span<const raft::EntryPtr> entries, size_t* taken) {
  const TimePoint began = clock_.Now();
  FAILPOINT("apply-batch");
  auto outcome = machine_.Apply(entries, taken);
  while (!outcome && outcome.error().code() == ErrorCode::kNoSpace) {
    if (!WaitForSpace(outcome.error())) return false;
    outcome = machine_.RetryWrite();
  }
  if (clock_.Now() - began >= limits_.slow_batch) {
    slow_batches_.fetch_add(1, std::memory_order_relaxed);
  }
  if (out_of_space_.exchange(false, std::memory_order_relaxed)) {
    log_.Info("disk has space again; applying goes on");
  }
  if (!outcome) {
    sinks_.fatal(outcome.error());
    return false;
  }
  Tell(sinks_, std::move(*outcome));
  return true;
}

bool ApplyWorker::WaitForSpace(const Error& error) {
  if (!out_of_space_.exchange(true, std::memory_order_relaxed)) {
    log_.Error("disk is full; applying waits until there is space", {error});
  }
  MutexLock lock(stop_mutex_);
  TimePoint deadline = clock_.Now() + limits_.no_space_retry;
  while (!stopping_ && stop_signal_.WaitUntil(stop_mutex_, deadline)) {
  }
  return !stopping_;
}

// Events before results: a client that has seen its write answered and then asks for progress must
// be told a revision that includes it.
// The report before them too if leases changed: who was granted one finds it in the next list.
void ApplyWorker::Tell(ApplySinks& sinks, apply::BatchOutcome outcome) {
  FAILPOINT("apply-tell");
  sinks.events(std::move(outcome.events));
  const bool leases_changed = !outcome.report.leases.empty();
  if (leases_changed) sinks.report(std::move(outcome.report));
  if (!outcome.results.empty()) sinks.results(std::move(outcome.results));
  if (!leases_changed) sinks.report(std::move(outcome.report));
}

}  // namespace store::replica
