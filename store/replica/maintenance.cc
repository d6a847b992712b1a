// SPDX-License-Identifier: Apache-2.0
#include "store/replica/maintenance.h"

#include "store/base/failpoint.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace store::replica {
namespace {

constexpr WorkClass kFlush{0};
constexpr WorkClass kCollect{1};
constexpr WorkClass kDefragment{2};
constexpr WorkClass kHash{3};
constexpr WorkClass kDisk{4};
// The look at the disk must find one free while the first three wait for room.
constexpr size_t kThreads = 4;

}  // namespace

Maintenance::Maintenance(const MaintenanceLimits& limits, apply::StateMachine& machine,
                         ApplyWorker& apply, const Clock& clock, Logger log, MaintenanceHooks hooks)
    : limits_(limits),
      machine_(machine),
      apply_(apply),
      clock_(clock),
      log_(std::move(log)),
      hooks_(std::move(hooks)),
      pool_("maintenance", kThreads,
            {{"flush", 1, 1},
             {"collect", 1, 1},
             {"defragment", 1, 1},
             {"hash", 1, 16},
             {"disk", 1, 1}}) {}

void Maintenance::Start(raft::Index durable) {
  applied_.store(durable.value());
  durable_.store(durable.value());
  collector_ = std::make_unique<mvcc::Collector>(machine_.mvcc());
  next_flush_ = clock_.Now() + limits_.flush_interval;
  pool_.Start();
}

void Maintenance::Stop() { pool_.Stop(); }

void Maintenance::OnApplied(raft::Index applied, size_t bytes) {
  applied_.store(applied.value(), std::memory_order_release);
  unflushed_bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void Maintenance::Tick(TimePoint now) {
  if (hooks_.look_at_disk && now >= next_look_) {
    next_look_ = now + limits_.disk_look_interval;
    (void)pool_.TrySubmit(kDisk, [this] { LookAtDisk(); });
  }
  // What is flushed the log need not keep: the one thing that makes room without a client.
  if (disk_low_.load(std::memory_order_relaxed)) {
    next_flush_ = std::min(next_flush_, last_flush_ + limits_.low_disk_flush_interval);
  }
  // A batch is in the engine, and may be flushed, before it is told to be applied.
  uint64_t durable = durable_.load(std::memory_order_relaxed);
  uint64_t behind = std::max(applied_.load(std::memory_order_relaxed), durable) - durable;
  bool due = now >= next_flush_ || behind >= limits_.flush_entries ||
             unflushed_bytes_.load(std::memory_order_relaxed) >= limits_.flush_bytes;
  if (behind > 0 && due && !flushing_.exchange(true)) {
    last_flush_ = now;
    next_flush_ = now + limits_.flush_interval;
    if (!pool_.TrySubmit(kFlush, [this] { Flush(); })) flushing_.store(false);
  }
  bool to_collect = machine_.mvcc().compacted() > machine_.mvcc().collected();
  if (!to_collect || now < next_collect_ || collecting_.exchange(true)) return;
  if (collect_waits_.exchange(false)) next_collect_ = now + limits_.collect_retry;
  if (!pool_.TrySubmit(kCollect, [this] { Collect(); })) collecting_.store(false);
}

void Maintenance::LookAtDisk() {
  DiskRoom room = hooks_.look_at_disk();
  disk_low_.store(room != DiskRoom::kEnough, std::memory_order_relaxed);
}

void Maintenance::Flush() {
  uint64_t bytes = unflushed_bytes_.load(std::memory_order_relaxed);
  const TimePoint began = metrics_.flush.Begin();
  Status status = FlushNow();
  metrics_.flush.End(began);
  // Out of space is the engine's to report and to resume; nothing is lost, the log only stays
  // longer.
  if (!status && status.error().code() != ErrorCode::kNoSpace) {
    hooks_.fatal(status.error().WithContext("flush the state"));
    return;
  }
  if (status) {
    // An install has begun the count anew.
    uint64_t unflushed = unflushed_bytes_.load(std::memory_order_relaxed);
    while (!unflushed_bytes_.compare_exchange_weak(
        unflushed, unflushed - std::min(unflushed, bytes), std::memory_order_relaxed)) {
    }
    if (hooks_.flushed) hooks_.flushed(raft::Index(durable_.load()));
  }
  flushing_.store(false);
}

Status Maintenance::FlushNow() {
  const std::shared_ptr<engine::Engine> engine = machine_.mvcc().engine();
  RETURN_IF_ERROR(engine->Flush());
  auto row = apply::StateMachine::ReadApplied(*engine, engine::Tier::kPersisted);
  RETURN_IF_ERROR(row);
  FAILPOINT("replica-flushed");
  if (!*row) return Ok();
  // A snapshot may have been installed meanwhile; then this was the former engine.
  const uint64_t durable = (*row)->index.value();
  uint64_t known = durable_.load();
  while (durable > known && !durable_.compare_exchange_weak(known, durable)) {
  }
  return Ok();
}

void Maintenance::Pause() {
  HoldSteps();
  // Or the files of the former state would stay until the next compaction. There is none without a
  // start: the simulator collects by itself.
  if (collector_ != nullptr) collector_->Abandon();
}

void Maintenance::Resume(raft::Index durable) {
  applied_.store(durable.value(), std::memory_order_release);
  durable_.store(durable.value(), std::memory_order_release);
  unflushed_bytes_.store(0, std::memory_order_relaxed);
  ReleaseSteps();
}

bool Maintenance::BeginStep() {
  MutexLock lock(step_mutex_);
  in_step_ = step_holds_ == 0;
  return in_step_;
}

void Maintenance::EndStep() {
  {
    MutexLock lock(step_mutex_);
    in_step_ = false;
  }
  step_ended_.NotifyAll();
}

void Maintenance::HoldSteps() {
  MutexLock lock(step_mutex_);
  ++step_holds_;
  while (in_step_) step_ended_.Wait(step_mutex_);
}

void Maintenance::ReleaseSteps() {
  MutexLock lock(step_mutex_);
  --step_holds_;
}

void Maintenance::Collect() {
  // A tick calls again when apply has caught up with what is to be trimmed.
  while (trims_waiting_.load(std::memory_order_relaxed) < kTrimsWaitingMax && BeginStep()) {
    auto step = collector_->Step(clock_.Now());
    EndStep();
    if (!step) {
      if (step.error().code() != ErrorCode::kNoSpace) {
        hooks_.fatal(step.error().WithContext("collect compacted revisions"));
      }
      break;
    }
    if (metrics_.collected != nullptr) metrics_.collected->Add(step->removed);
    if (!step->trim.keys.empty()) {
      // A trim that finds no room is only memory kept a while longer.
      auto trim = std::make_shared<mvcc::TrimBatch>(std::move(step->trim));
      trims_waiting_.fetch_add(1, std::memory_order_relaxed);
      bool taken = apply_.TryRun([this, trim] {
        machine_.mvcc().Trim(*trim);
        trims_waiting_.fetch_sub(1, std::memory_order_relaxed);
      });
      if (!taken) trims_waiting_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (step->state == mvcc::CollectStep::State::kFinished) {
      log_.Info("finished scheduled compaction",
                {{"compact-revision", machine_.mvcc().collected()}});
    }
    if (step->state == mvcc::CollectStep::State::kWaiting) collect_waits_.store(true);
    if (step->state == mvcc::CollectStep::State::kWaiting ||
        step->state == mvcc::CollectStep::State::kIdle) {
      break;
    }
  }
  collecting_.store(false);
}

bool Maintenance::Defragment(absl::AnyInvocable<void(Status)> done) {
  return pool_.TrySubmit(kDefragment,
                         [this, done = std::move(done)]() mutable { done(RunDefragment()); });
}

// Collection waits meanwhile (engine.h).
Status Maintenance::RunDefragment() {
  const TimePoint began = metrics_.defragment.Begin();
  if (metrics_.defragmenting != nullptr) metrics_.defragmenting->Set(1);
  HoldSteps();
  const Status status = machine_.mvcc().engine()->CompactAll();
  ReleaseSteps();
  if (metrics_.defragmenting != nullptr) metrics_.defragmenting->Set(0);
  metrics_.defragment.End(began);
  return status;
}

bool Maintenance::RunHash(Action&& action) { return pool_.TrySubmit(kHash, std::move(action)); }

}  // namespace store::replica
