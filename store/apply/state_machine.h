// SPDX-License-Identifier: Apache-2.0
// StateMachine: the replicated state and the only code that changes it. Committed entries go in, in
// log order; out come one engine write per batch (which ends with sys/applied), a new StateView,
// events for the watch hub and the results of the calls that wait on this member. Deterministic:
// the same entries give the same state on every member, so nothing here looks at a clock, a random
// number or local configuration beyond ApplyLimits, which must be equal on all members.
//
// Threads: Apply, RetryWrite, leases and the writing half of mvcc() on one thread (apply; the
// simulator's loop). Read from any thread. Nothing here starts a thread. Every error of Apply but
// kNoSpace is fatal for the member: nothing of the batch was written, and the object must not be
// used again. On kNoSpace the disk is full: the batch is kept, and RetryWrite offers it again until
// it succeeds; until then Apply is not called. Bounded by: one batch of entries and its results.
#pragma once

#include "store/apply/report.h"
#include "store/apply/results.h"
#include "store/apply/state_view.h"
#include "store/apply/sys_rows.h"
#include "store/base/error.h"
#include "store/engine/engine.h"
#include "store/lease/lease_table.h"
#include "store/mvcc/event.h"
#include "store/mvcc/mvcc_store.h"
#include "store/mvcc/read_view.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace store::apply {

struct ApplyLimits {
  int64_t quota_bytes = 2LL << 30;  // <= 0: none
  uint64_t index_memory_max = 0;    // bytes of the key index, 0: none
  size_t batch_entries_max = 1000;
  size_t batch_bytes_max = 1 << 20;  // a larger single entry passes alone
};

// Who this process is: results are collected only for its own requests.
struct ApplySelf {
  raft::NodeId member;
  uint64_t boot_nonce = 0;
};

// State of a store at its first start (bootstrap), written as if applied at that place of the log:
// (0, 0) is nothing yet.
struct InitialState {
  raft::Index index;
  raft::Term term;
  std::vector<cluster::Member> members;
  raft::ConfState conf;
};

struct BatchOutcome {
  ApplyReport report;
  std::vector<LoopResults> results;  // per loop, in log order
  mvcc::EventBatchPtr events;        // never null
};

// Guard of one reader action: the StateView and a ReadView of the same moment.
class StateRef {
 public:
  StateRef(mvcc::ReadView view, const StateView* state) : view_(std::move(view)), state_(state) {}
  const StateView* operator->() const { return state_; }
  const StateView& operator*() const { return *state_; }
  const mvcc::ReadView& view() const { return view_; }

 private:
  mvcc::ReadView view_;  // holds the epoch slot that keeps *state_ alive
  const StateView* state_;
};

class StateMachine {
 public:
  // The engine is shared with the key space inside and with whoever reads it.
  StateMachine(const ApplyLimits& limits, const ApplySelf& self,
               std::shared_ptr<engine::Engine> engine);
  ~StateMachine();

  // Start-up, one of the two, before anything else: writes the initial state into an empty engine
  // (flushed), or rebuilds everything from it.
  Status Bootstrap(const InitialState& initial);
  Status Restore();
  using AppliedRow = apply::AppliedRow;
  // What sys/applied says; of the durable tier with kPersisted. nullopt: an engine never
  // bootstrapped.
  static Result<std::optional<AppliedRow>> ReadApplied(const engine::Engine& engine,
                                                       engine::Tier tier);

  // A snapshot took the place of everything: all of it is read from `engine`, readers go over to it
  // at once, and the former engine closes when its last reader lets go. Apply thread, between
  // batches, and not while a Collector step runs. kInvalidArgument, and no effect, if it is not
  // ahead of what is applied here; any other error is fatal.
  Status Install(std::shared_ptr<engine::Engine> engine);

  // Applies a prefix of `entries` that fits one batch; `*taken` says how many, also with kNoSpace.
  // Indexes must follow the applied one without a gap; entries at or below it are skipped (replay
  // after a start).
  Result<BatchOutcome> Apply(std::span<const raft::EntryPtr> entries, size_t* taken);
  // After kNoSpace: the outcome of the batch that was kept, or kNoSpace again.
  Result<BatchOutcome> RetryWrite();
  bool write_pending() const;

  // Any thread, after Bootstrap or Restore.
  StateRef Read() const;
  // After Bootstrap or Restore.
  mvcc::MvccStore& mvcc();
  const mvcc::MvccStore& mvcc() const;
  // Apply thread only.
  const lease::LeaseTable& leases() const;
  const AppliedRow& applied() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace store::apply
