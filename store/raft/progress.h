// SPDX-License-Identifier: Apache-2.0
// Progress: one peer as its leader sees it.
//
//   probe      the end of the peer's log is a guess: one append per answer or heartbeat
//   replicate  the guess was right: appends stream, limited by Inflights
//   snapshot   the log no longer holds what the peer needs: nothing is sent until a snapshot
//   arrived
//
// Invariant: match < next. Owned by a Tracker, single-threaded.
#pragma once

#include "store/raft/inflights.h"
#include "store/raft/status.h"
#include "store/raft/types.h"

#include <cstddef>

namespace store::raft {

class Progress {
 public:
  Progress(NodeId id, Index next, size_t inflight_messages_max, size_t inflight_bytes_max)
      : id_(id), next_(next), inflights_(inflight_messages_max, inflight_bytes_max) {}

  NodeId id() const { return id_; }
  Index match() const { return match_; }
  Index next() const { return next_; }
  ProgressState state() const { return state_; }
  bool active() const { return active_; }
  bool fetching() const { return fetching_; }
  Index commit_sent() const { return commit_sent_; }
  Index snapshot_at_least() const { return snapshot_at_least_; }
  const Inflights& inflights() const { return inflights_; }

  void set_active(bool active) { active_ = active; }
  void set_fetching(bool fetching) { fetching_ = fetching; }

  // Nothing may be sent now.
  bool Paused() const;
  // A heartbeat was answered: a probe that got lost may be repeated.
  void Resume() { probe_sent_ = false; }
  // Probe only: nothing before the next heartbeat's answer.
  void Pause() { probe_sent_ = true; }

  // An append of `count` entries from next, with the sender's commit index, leaves.
  void OnSent(size_t count, size_t bytes, Index commit);
  // The peer holds everything up to `index`. False: nothing new.
  bool OnMatched(Index index);
  // The peer refused an append after `prev`; its log may match at `retry_prev` at best. False: a
  // stray answer.
  bool OnRefused(Index prev, Index retry_prev);
  void BecomeProbe(Index next);
  void BecomeSnapshot(Index at_least);

 private:
  void BecomeReplicate();

  NodeId id_;
  Index match_;
  Index next_;
  ProgressState state_ = ProgressState::kProbe;
  bool active_ = false;      // heard from since the last quorum check
  bool probe_sent_ = false;  // probe only
  bool fetching_ = false;    // the host reads entries from disk for this peer
  Index commit_sent_;        // newest commit index the peer was told
  Index snapshot_at_least_;  // snapshot only
  Inflights inflights_;
};

}  // namespace store::raft
