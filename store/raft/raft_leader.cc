// SPDX-License-Identifier: Apache-2.0
// The leader: propose, replicate, commit, read rounds (thesis 3.5, 3.6.2, 6.4, 10.2.1).
#include "store/base/check.h"
#include "store/raft/conf_change.h"
#include "store/raft/quorum.h"
#include "store/raft/raft.h"

#include <algorithm>
#include <utility>

namespace store::raft {

void Raft::BecomeLeader() {
  CHECK(durable_term_ == term_ && durable_vote_ == config_.id,
        "leader of a term that may be forgotten");
  Leader fresh{
      .tracker = Tracker(config_, conf_, log_.last()),
      .reads = {},
      .quorum_round = {},
      .term_start = log_.last() + 1,
      // There may be a change among the entries it inherits; looking for it is not worth the code.
      .pending_conf = log_.last(),
      .transferee = {},
      .stable_seen = log_.stable()};
  role_ = std::move(fresh);
  election_elapsed_ = 0;
  heartbeat_elapsed_ = config_.heartbeat_ticks;
  // Entries of earlier terms are only committed by one of its own (thesis 3.6.2).
  AppendOwn(EntryKind::kNoop, {});
  Leader& self = *leader();
  if (Progress* own = self.tracker.Find(config_.id)) own->OnMatched(log_.stable());
}

void Raft::AppendOwn(EntryKind kind, std::string data) {
  log_.Append(std::make_shared<Entry>(Entry{term_, log_.last() + 1, kind, std::move(data)}));
}

ProposeResult Raft::Propose(std::vector<std::string>&& commands) {
  dirty_ = true;
  const Leader* self = leader();
  if (self == nullptr) {
    if (!LeaderId()) return ProposeResult::kNoLeader;
    Send(LeaderId(), ForwardPropose{std::move(commands)});
    return ProposeResult::kForwarded;
  }
  if (self->transferee) return ProposeResult::kNoLeader;
  size_t bytes = 0;
  for (const std::string& command : commands) bytes += command.size() + kEntryOverheadBytes;
  size_t waiting = log_.uncommitted_bytes();
  if (waiting > 0 && waiting + bytes > config_.uncommitted_bytes_max) {
    return ProposeResult::kTooMuchUncommitted;
  }
  for (std::string& command : commands) AppendOwn(EntryKind::kCommand, std::move(command));
  return ProposeResult::kAppended;
}

ProposeResult Raft::ProposeConfChange(const ConfChange& change) {
  dirty_ = true;
  Leader* self = leader();
  if (self == nullptr || self->transferee) return ProposeResult::kNoLeader;
  // One at a time (thesis 4.1), and none before the own term has a committed entry (the erratum to
  // it).
  if (self->pending_conf > log_.applied() || self->term_start > log_.commit()) {
    return ProposeResult::kConfChangePending;
  }
  AppendOwn(EntryKind::kConfChange, EncodeConfChange(change));
  self->pending_conf = log_.last();
  return ProposeResult::kAppended;
}

void Raft::AdvanceCommit(Leader& self) {
  Index quorum = self.tracker.QuorumMatch();
  // Counting replicas commits only entries of the own term (thesis 3.6.2, figure 3.7).
  if (quorum > log_.commit() && quorum >= self.term_start) log_.CommitTo(quorum);
}

void Raft::Replicate(Leader& self) {
  for (auto& [node, peer] : self.tracker.all()) {
    if (node != config_.id) ReplicateTo(peer);
  }
}

void Raft::ReplicateTo(Progress& peer) {
  while (!peer.Paused()) {
    Index prev = peer.next() - 1;
    if (peer.next() > log_.last()) {
      // Nothing to add; a probe still asks, and news of the commit index should not wait for a
      // heartbeat.
      bool probing = peer.state() == ProgressState::kProbe;
      bool news = std::min(log_.commit(), prev) > peer.commit_sent();
      if (log_.TermAt(prev) && (probing || news)) SendAppend(peer, {});
      return;
    }
    if (!log_.TermAt(prev) || peer.next() < log_.window_first()) return NeedOlder(peer);
    SendAppend(peer, log_.Slice(peer.next(), log_.last(), config_.message_bytes_max));
  }
}

void Raft::SendAppend(Progress& peer, std::vector<EntryPtr> entries) {
  size_t bytes = 0;
  for (const EntryPtr& entry : entries) bytes += EntryBytes(*entry);
  size_t count = entries.size();
  Index prev = peer.next() - 1;
  Send(peer.id(),
       AppendRequest{term_, prev, *log_.TermAt(prev), log_.commit(), std::move(entries)});
  peer.OnSent(count, bytes, log_.commit());
}

// The peer needs what memory no longer holds: from the host's log store, or a snapshot.
void Raft::NeedOlder(Progress& peer) {
  if (!log_.TermAt(peer.next() - 1)) {
    if (!peer.active()) return;  // its disk and network are not worth a snapshot while it is silent
    output_.snapshots.push_back({peer.id(), log_.truncated(), term_});
    peer.BecomeSnapshot(log_.truncated());
    return;
  }
  peer.set_fetching(true);
  output_.fetch.push_back(
      {peer.id(), peer.next(), log_.window_first() - 1, config_.message_bytes_max});
}

void Raft::OnFetched(NodeId node, Index from, std::vector<EntryPtr> entries) {
  dirty_ = true;
  Leader* self = leader();
  Progress* peer = self == nullptr ? nullptr : self->tracker.Find(node);
  if (peer == nullptr || !peer->fetching()) return;
  peer->set_fetching(false);
  if (from != peer->next() || !log_.TermAt(from - 1) || peer->Paused()) return;
  if (entries.empty()) {
    // The host has no time to read now. It is asked again at the next heartbeat's answer.
    peer->BecomeProbe(from);
    return peer->Pause();
  }
  Index expected = from;
  for (const EntryPtr& entry : entries) {
    // The read may have been ordered in an earlier leadership; what it brought must be this log's.
    if (entry->index != expected || log_.TermAt(expected) != entry->term) return;
    ++expected;
  }
  SendAppend(*peer, std::move(entries));
}

void Raft::OnUnreachable(NodeId node) {
  dirty_ = true;
  Leader* self = leader();
  Progress* peer = self == nullptr ? nullptr : self->tracker.Find(node);
  // What was in flight is probably lost; waiting for a refusal would cost a heartbeat.
  if (peer != nullptr && peer->state() == ProgressState::kReplicate) {
    peer->BecomeProbe(peer->match() + 1);
  }
}

void Raft::Handle(NodeId from, AppendReply& reply) {
  Leader* self = leader();
  Progress* peer = self == nullptr ? nullptr : self->tracker.Find(from);
  if (peer == nullptr) return;
  peer->set_active(true);
  if (!reply.ok) {
    // The hint is the follower's last entry that could match; our own log may skip further (a whole
    // term).
    peer->OnRefused(reply.index, log_.LastWithTermAtMost(reply.hint, reply.hint_term));
    return;
  }
  CHECK(reply.index <= log_.last(), "peer {} matches {}, last is {}", from, reply.index,
        log_.last());
  if (!peer->OnMatched(reply.index)) return;
  AdvanceCommit(*self);
  if (self->transferee == from) SendTimeoutNow(*self);
}

void Raft::Handle(NodeId from, HeartbeatReply& reply) {
  Leader* self = leader();
  Progress* peer = self == nullptr ? nullptr : self->tracker.Find(from);
  if (peer == nullptr) return;
  peer->set_active(true);
  peer->Resume();
  if (peer->state() == ProgressState::kReplicate && peer->inflights().messages() > 0) {
    AskForInflight(*peer);
  }
  self->reads.Answered(from, reply.round);
  CompleteRounds(*self);
}

// Appends may have been lost without a word; an empty one at the end of what was sent finds out. If
// the log does not reach back that far any more, nothing can ask, and only a snapshot helps.
void Raft::AskForInflight(Progress& peer) {
  Index prev = peer.next() - 1;
  std::optional<Term> prev_term = log_.TermAt(prev);
  if (!prev_term) return peer.BecomeProbe(peer.match() + 1);
  Send(peer.id(), AppendRequest{term_, prev, *prev_term, log_.commit(), {}});
}

void Raft::Handle(NodeId, ForwardPropose& forwarded) {
  // Refused or not a leader any more: the proposer's host hears nothing and lets its callers time
  // out.
  if (leader() != nullptr) Propose(std::move(forwarded.commands));
}

void Raft::Handle(NodeId from, ReadRequest& request) {
  if (Leader* self = leader()) self->reads.Join({from, request.batch});
}

void Raft::CollectLeaderReads(Leader& self) {
  // Before the first commit of its term a leader does not know what is committed (thesis 6.4, etcd
  // #7331).
  if (log_.commit() < self.term_start) return;
  if (batch_open_ && self.reads.Join({config_.id, last_batch_})) batch_open_ = false;
  if (self.reads.WantsRound()) StartRound(self);
}

void Raft::StartRound(Leader& self) {
  heartbeat_elapsed_ = 0;
  // Reads that wait join only when their answer would be right.
  ReadId round = self.reads.Start(log_.commit(), log_.commit() >= self.term_start);
  for (const auto& [node, peer] : self.tracker.all()) {
    if (node == config_.id) continue;
    Send(node, Heartbeat{term_, std::min(peer.match(), log_.commit()), round});
  }
  self.reads.Answered(config_.id, round);
  CompleteRounds(self);
}

void Raft::CompleteRounds(Leader& self) {
  ReadId round(
      QuorumValue(conf_, [&](NodeId voter) { return self.reads.AnsweredBy(voter).value(); }));
  if (round <= self.quorum_round) return;
  self.quorum_round = round;
  // A lease is as good as what may be read under it: before the first commit of its term a leader
  // may be behind what was acknowledged before it (thesis 6.4.1).
  bool knows_committed = log_.commit() >= self.term_start;
  if (knows_committed && !self.transferee && self.lease_blocked_ticks == 0) {
    output_.quorum_round = round;
  }
  for (const ReadRounds::Granted& granted : self.reads.Complete(round)) {
    if (granted.ticket.from == config_.id) {
      output_.reads.push_back({granted.ticket.batch, granted.index});
    } else {
      Send(granted.ticket.from, ReadReply{term_, granted.ticket.batch, granted.index});
    }
  }
}

// The others commit without this disk, which has stood still for an election timeout. Such a leader
// cannot apply and soon takes no proposals (uncommitted_bytes_max); it would be missed by nobody.
void Raft::TickStuckDisk(Leader& self) {
  const bool stuck = log_.stable() < log_.commit() && log_.stable() == self.stable_seen;
  self.stable_seen = log_.stable();
  self.stuck_ticks = stuck ? self.stuck_ticks + 1 : 0;
  if (self.stuck_ticks < config_.election_ticks || self.transferee) return;
  NodeId heir = HeirOf(status(), [this](const PeerStatus& peer) {
    return peer.active && peer.match > log_.stable();
  });
  if (!heir) return;     // at the next tick somebody may have been heard from
  self.stuck_ticks = 0;  // again after another timeout, if it fails
  TransferLeadership(heir);
}

void Raft::TickLeader(Leader& self) {
  if (self.lease_blocked_ticks > 0) --self.lease_blocked_ticks;
  if (self.transferee && ++self.transfer_ticks >= config_.election_ticks) {
    self.transferee = NodeId();  // it did not take over in time; go on leading
  }
  TickStuckDisk(self);
  TickQuorumCheck(self);
  Leader* still = leader();
  if (still != nullptr && ++heartbeat_elapsed_ >= config_.heartbeat_ticks) StartRound(*still);
}

}  // namespace store::raft
