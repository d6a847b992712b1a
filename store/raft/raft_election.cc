// SPDX-License-Identifier: Apache-2.0
// Elections (thesis 3.4), pre-vote (9.6), check-quorum (6.2) and leadership transfer (3.10).
#include "store/base/check.h"
#include "store/raft/quorum.h"
#include "store/raft/raft.h"

#include <utility>

namespace store::raft {

bool Raft::Promotable() const {
  return IsVoter(conf_, config_.id) && !restoring_ && leader() == nullptr;
}

void Raft::Campaign() {
  dirty_ = true;
  if (!Promotable()) return;
  // With a committed change unapplied this member could count by a configuration that is already
  // over.
  campaign_wanted_ = log_.HasUnappliedConfChange();
  if (campaign_wanted_) return;
  StartElection(config_.pre_vote, /*transfer=*/false);
}

void Raft::StartElection(bool pre, bool transfer) {
  FailForwardedReads();
  campaign_wanted_ = false;
  if (!pre) {
    ++term_;
    vote_ = config_.id;
  }
  role_ = Candidate{pre, transfer, {}};
  ResetElectionTimer();
  VoteRequest request{pre ? term_ + 1 : term_, log_.last(), log_.last_term(), pre, transfer};
  for (const auto* half : {&conf_.voters, &conf_.outgoing}) {
    for (NodeId voter : *half) {
      if (voter == config_.id ||
          (half == &conf_.outgoing && IsVoter({conf_.voters, {}, {}}, voter))) {
        continue;
      }
      if (pre) {
        Send(voter, request);
      } else {
        SendDurably(voter, request);
      }
    }
  }
  // A pre-vote promises nothing; a vote counts once it cannot be forgotten (CountOwnVote).
  if (pre) CountVote(config_.id, true);
}

void Raft::CountOwnVote() {
  const Candidate* self = candidate();
  if (self->pre || durable_term_ != term_ || durable_vote_ != config_.id) return;
  if (!self->votes.contains(config_.id)) CountVote(config_.id, true);
}

void Raft::CountVote(NodeId from, bool granted) {
  Candidate* self = candidate();
  CHECK(self != nullptr);
  self->votes.try_emplace(from, granted);
  VoteResult result = QuorumVote(conf_, [self](NodeId voter) -> std::optional<bool> {
    auto at = self->votes.find(voter);
    return at == self->votes.end() ? std::nullopt : std::optional(at->second);
  });
  if (result == VoteResult::kLost) {
    BecomeFollower(term_, NodeId());
  } else if (result == VoteResult::kWon) {
    if (self->pre) {
      StartElection(/*pre=*/false, self->transfer);
    } else if (self->votes.contains(config_.id)) {
      BecomeLeader();
    }  // else by CountOwnVote: the others' answers overtook the news that the own vote is durable
  }
}

bool Raft::HeardFromLeader() const {
  // Lease reads count on voters that refuse for one election timeout, also across their own
  // restart.
  if (config_.lease_reads && ticks_since_start_ < config_.election_ticks) return true;
  return config_.check_quorum && LeaderId() && election_elapsed_ < config_.election_ticks;
}

// A message of a term that is over: its sender must learn that, or it could be stuck in it for
// ever.
bool Raft::HandleOldTerm(const Envelope& envelope) {
  if (std::holds_alternative<AppendRequest>(envelope.message) ||
      std::holds_alternative<Heartbeat>(envelope.message)) {
    // With pre-vote this member does not raise the sender's term by campaigning, so it says it
    // here.
    Answer(envelope.from, AppendReply{term_, false, Index(), Index(), Term()});
  }
  const auto* vote = std::get_if<VoteRequest>(&envelope.message);
  if (vote != nullptr) Answer(envelope.from, VoteReply{term_, false, vote->pre});
  return false;
}

void Raft::Handle(NodeId from, VoteRequest& request) {
  bool free = vote_ == from || (!vote_ && !LeaderId()) || (request.pre && request.term > term_);
  bool granted = free && log_.UpToDate(request.last, request.last_term);
  // A refusal carries the own term, so that the asker learns a newer one; a granted pre-vote the
  // asked one.
  Term term = granted ? request.term : term_;
  VoteReply reply{term, granted, request.pre};
  if (!granted || request.pre) return Answer(from, reply);
  vote_ = from;
  election_elapsed_ = 0;
  SendDurably(from, reply);
}

void Raft::Handle(NodeId from, VoteReply& reply) {
  const Candidate* self = candidate();
  if (self == nullptr || self->pre != reply.pre) return;
  if (self->pre && reply.granted && reply.term != term_ + 1) return;
  CountVote(from, reply.granted);
}

void Raft::TickElection() {
  if (++election_elapsed_ < election_timeout_ || !Promotable()) return;
  ResetElectionTimer();
  // Whoever had been the leader has been silent for an election timeout.
  Campaign();
}

void Raft::TickQuorumCheck(Leader& self) {
  if (++election_elapsed_ < config_.election_ticks) return;
  election_elapsed_ = 0;
  bool active = self.tracker.TakeQuorumActive();
  if (config_.check_quorum && !active) BecomeFollower(term_, NodeId());
}

void Raft::TransferLeadership(NodeId to) {
  dirty_ = true;
  Leader* self = leader();
  if (self == nullptr || to == config_.id || !IsVoter(conf_, to) || self->transferee == to) return;
  self->transferee = to;
  self->transfer_ticks = 0;
  output_.lease_ended = true;
  SendTimeoutNow(*self);
}

// Once the target has everything; until then proposals are refused so that it can catch up.
void Raft::SendTimeoutNow(Leader& self) {
  const Progress* target = self.tracker.Find(self.transferee);
  if (target == nullptr || target->match() != log_.last()) return;
  Send(self.transferee, TimeoutNow{term_});
  self.lease_blocked_ticks = config_.election_ticks;
}

void Raft::Handle(NodeId from, TimeoutNow&) {
  if (!Promotable() || from != LeaderId() || log_.HasUnappliedConfChange()) return;
  StartElection(/*pre=*/false, /*transfer=*/true);
}

}  // namespace store::raft
