// SPDX-License-Identifier: Apache-2.0
// Raft: one replica of the protocol (Ongaro's thesis, with pre-vote 9.6, check-quorum 6.2,
// leadership transfer 3.10, read index 6.4, learners and single-step membership changes 4.1-4.2).
// Single-threaded and deterministic: the same config, restart state and sequence of calls gives the
// same outputs. Time is Tick(); entropy is Config::seed. Never blocks, never throws, never calls
// the disk or the network: it says what it wants in Output and is told what became of it. A message
// or call that this version does not know how to serve is impossible by type, not ignored. Memory
// is bounded by Config: window_bytes_max + uncommitted_bytes_max + what waits for the applier
// (bounded by the host's admission) + per-peer in-flight bookkeeping.
#pragma once

#include "store/base/random.h"
#include "store/raft/config.h"
#include "store/raft/log.h"
#include "store/raft/message.h"
#include "store/raft/output.h"
#include "store/raft/read_rounds.h"
#include "store/raft/status.h"
#include "store/raft/tracker.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace store::raft {

enum class ProposeResult : uint8_t {
  kAppended,   // in the leader's log; outcome shows at apply
  kForwarded,  // on its way to the leader; outcome shows at apply or never
  kNoLeader,   // nothing happened; may be offered again (also while leadership is transferred)
  kTooMuchUncommitted,  // nothing happened; may be offered again
  kConfChangePending,   // conf change only: one at a time, and the last one must be applied
};

class Raft {
 public:
  Raft(const Config& config, Restart restart);
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // Inputs. Nothing leaves before TakeOutput, so a host may feed many and collect once.
  void Tick();
  void Step(Envelope envelope);
  // All or none; `commands` is moved from unless refused (kNoLeader, kTooMuchUncommitted).
  ProposeResult Propose(std::vector<std::string>&& commands);
  // On the leader only; kNoLeader elsewhere.
  ProposeResult ProposeConfChange(const ConfChange& change);
  // From the applier, at the entry's log position and before OnApplied of it; kNone when membership
  // rejected the change. Also during the replay after a restart.
  ConfState ApplyConfChange(const ConfChange& change);
  // Joins the next read round; answered in Output::reads (or reads_failed). Calls between two
  // outputs share one id; while no leader is known, or the leader has not committed in its term,
  // the batch stays open and keeps its id.
  ReadId RequestRead();
  void TransferLeadership(NodeId to);
  // Starts an election now (tests and first boot). With committed conf changes not yet applied it
  // waits for them.
  void Campaign();
  void OnPersisted(uint64_t unit);  // ids ascending
  void OnApplied(Index index);
  void OnFetched(NodeId peer, Index from,
                 std::vector<EntryPtr> entries);  // empty: already truncated, or no time to read
  void OnUnreachable(NodeId peer);
  // `index`: of the snapshot that arrived, which is at least the one that was ordered.
  void OnSnapshotSent(NodeId peer, bool ok, Index index = Index());
  // Installed and durable; only then reset_to is emitted and the leader answered.
  void OnRestored(const SnapshotMeta& meta);
  // The host decides; through <= durable applied index.
  void TruncateLog(Index through);

  // May be true for an output that turns out empty; false after TakeOutput until the next input.
  bool HasOutput() const { return dirty_; }
  Output TakeOutput();  // must be executed
  // Term of an entry still in the log or just before it.
  Term TermAt(Index index) const;
  Position position() const;
  Status status() const;

 private:
  struct Follower {
    NodeId leader;  // 0: unknown
  };
  struct Candidate {
    bool pre = false;
    bool transfer = false;
    std::map<NodeId, bool> votes;
  };
  // Everything a leader knows lives here and dies with leadership.
  struct Leader {
    Tracker tracker;
    ReadRounds reads;
    ReadId quorum_round;  // newest round a quorum answered
    Index term_start;     // first entry of the own term: reads wait until it is committed
    Index pending_conf;   // no conf change while this is not applied
    NodeId transferee;    // 0: no transfer
    int transfer_ticks = 0;
    int lease_blocked_ticks = 0;  // no lease since TimeoutNow was sent (raft-rs 234, etcd 12704)
    Index stable_seen;            // at the last tick
    int stuck_ticks = 0;          // ... behind the commit index and not moving since then
  };
  struct UnitInFlight {
    uint64_t id = 0;
    Term term;
    NodeId vote;
  };
  struct ForwardedRead {
    ReadId batch;
    int ticks = 0;
  };

  // raft.cc
  Follower* follower() { return std::get_if<Follower>(&role_); }
  Candidate* candidate() { return std::get_if<Candidate>(&role_); }
  Leader* leader() { return std::get_if<Leader>(&role_); }
  const Leader* leader() const { return std::get_if<Leader>(&role_); }
  NodeId LeaderId() const;
  RoleChange CurrentRole() const;
  void BecomeFollower(Term term, NodeId leader);
  void ResetElectionTimer();
  void Send(NodeId to, Message message);
  void SendDurably(NodeId to, Message message);
  void Answer(NodeId to, Message message);
  bool PassesTermRules(const Envelope& envelope);
  void Handle(NodeId from, AppendRequest& request);
  void Handle(NodeId from, AppendReply& reply);
  void Handle(NodeId from, Heartbeat& heartbeat);
  void Handle(NodeId from, HeartbeatReply& reply);
  void Handle(NodeId from, VoteRequest& request);
  void Handle(NodeId from, VoteReply& reply);
  void Handle(NodeId from, SnapshotNotice& notice);
  void Handle(NodeId from, TimeoutNow& message);
  void Handle(NodeId from, ForwardPropose& forwarded);
  void Handle(NodeId from, ReadRequest& request);
  void Handle(NodeId from, ReadReply& reply);
  void CollectPersist(Output* output);
  void CollectReads();

  // raft_election.cc
  bool Promotable() const;
  void StartElection(bool pre, bool transfer);
  void CountVote(NodeId from, bool granted);
  void CountOwnVote();
  bool HeardFromLeader() const;
  bool HandleOldTerm(const Envelope& envelope);
  void TickElection();
  void TickQuorumCheck(Leader& self);
  void SendTimeoutNow(Leader& self);

  // raft_leader.cc
  void BecomeLeader();
  void AppendOwn(EntryKind kind, std::string data);
  void AdvanceCommit(Leader& self);
  void Replicate(Leader& self);
  void ReplicateTo(Progress& peer);
  void SendAppend(Progress& peer, std::vector<EntryPtr> entries);
  void NeedOlder(Progress& peer);
  void AskForInflight(Progress& peer);
  void StartRound(Leader& self);
  void CompleteRounds(Leader& self);
  void CollectLeaderReads(Leader& self);
  void TickStuckDisk(Leader& self);
  void TickLeader(Leader& self);

  // raft_follower.cc
  void HeardLeader(NodeId from);
  void Refuse(NodeId to, Index prev, Term prev_term);
  void ForwardReads();
  void TickForwardedReads();
  void FailForwardedReads();

  const Config config_;
  Random random_;
  RaftLog log_;
  ConfState conf_;
  Term term_;
  NodeId vote_;
  std::variant<Follower, Candidate, Leader> role_;
  int election_elapsed_ = 0;
  int election_timeout_ = 0;  // drawn anew in [election_ticks, 2 * election_ticks)
  int heartbeat_elapsed_ = 0;
  int ticks_since_start_ = 0;  // stops at election_ticks
  bool campaign_wanted_ = false;

  // Persistence: what was given to the log store, and what of it is durable.
  HardState emitted_;
  Term durable_term_;
  NodeId durable_vote_;
  uint64_t last_unit_ = 0;
  std::deque<UnitInFlight> units_;
  std::vector<Envelope> release_;  // of the next unit
  bool write_commit_ = false;      // a tick passed: the commit index is worth a unit of its own
  std::optional<SnapshotMeta> reset_to_;   // of the next unit
  std::optional<SnapshotMeta> restoring_;  // given to the host, OnRestored not yet called

  // Reads of this member.
  ReadId last_batch_;
  bool batch_open_ = false;               // last_batch_ may still take requests
  std::vector<ForwardedRead> forwarded_;  // asked of the leader, at most kForwardedMax

  Output output_;  // grows until TakeOutput
  RoleChange told_role_;
  bool dirty_ = false;
};

}  // namespace store::raft
