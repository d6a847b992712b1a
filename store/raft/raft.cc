// SPDX-License-Identifier: Apache-2.0
// Terms, ticks, dispatch and the collecting of output. The roles' own steps are in
// raft_election.cc, raft_leader.cc, raft_follower.cc and raft_snapshot.cc.
#include "store/raft/raft.h"

#include "store/base/check.h"
#include "store/raft/conf_change.h"
#include "store/raft/quorum.h"

#include <algorithm>
#include <utility>

namespace store::raft {
namespace {

// nullopt: a message without a term.
std::optional<Term> TermOf(const Message& message) {
  return std::visit(
      [](const auto& m) -> std::optional<Term> {
        if constexpr (requires { m.term; }) {
          return m.term;
        } else {
          return std::nullopt;
        }
      },
      message);
}

bool IsFromLeader(const Message& message) {
  return std::holds_alternative<AppendRequest>(message) ||
         std::holds_alternative<Heartbeat>(message) ||
         std::holds_alternative<SnapshotNotice>(message);
}

// Pre-votes are asked and granted in a term that nobody entered yet; they never raise the
// receiver's.
bool IsAboutFutureTerm(const Message& message) {
  if (const auto* request = std::get_if<VoteRequest>(&message)) return request->pre;
  if (const auto* reply = std::get_if<VoteReply>(&message)) return reply->pre && reply->granted;
  return false;
}

}  // namespace

Raft::Raft(const Config& config, Restart restart)
    : config_(config),
      random_(config.seed),
      log_(restart),
      conf_(std::move(restart.conf)),
      term_(restart.hard_state.term),
      vote_(restart.hard_state.vote),
      last_batch_(config.reads_after) {
  std::string problem = config_.Validate();
  CHECK(problem.empty(), "raft config: {}", problem);
  CHECK(IsValid(conf_), "conf state is not sorted and disjoint");
  CHECK(term_ >= log_.last_term(), "term {} behind the log's {}", term_, log_.last_term());
  emitted_ = restart.hard_state;
  durable_term_ = term_;
  durable_vote_ = vote_;
  told_role_ = CurrentRole();
  ResetElectionTimer();
  dirty_ = true;  // committed entries may be ready to apply
}

NodeId Raft::LeaderId() const {
  if (leader() != nullptr) return config_.id;
  const auto* self = std::get_if<Follower>(&role_);
  return self == nullptr ? NodeId() : self->leader;
}

RoleChange Raft::CurrentRole() const {
  Role role = Role::kFollower;
  if (leader() != nullptr) role = Role::kLeader;
  if (const auto* self = std::get_if<Candidate>(&role_)) {
    role = self->pre ? Role::kPreCandidate : Role::kCandidate;
  }
  return {role, LeaderId(), term_};
}

void Raft::BecomeFollower(Term term, NodeId new_leader) {
  CHECK(term >= term_, "term {} behind {}", term, term_);
  if (Leader* self = leader()) {
    std::vector<ReadId> abandoned = self->reads.Abandoned(config_.id);
    output_.reads_failed.insert(output_.reads_failed.end(), abandoned.begin(), abandoned.end());
  }
  if (term > term_ || new_leader != LeaderId()) FailForwardedReads();
  if (term > term_) {
    term_ = term;
    vote_ = NodeId();
  }
  role_ = Follower{new_leader};
  ResetElectionTimer();
}

void Raft::ResetElectionTimer() {
  election_elapsed_ = 0;
  auto ticks = static_cast<uint64_t>(config_.election_ticks);
  election_timeout_ = static_cast<int>(ticks + random_.Below(ticks));
}

void Raft::Tick() {
  dirty_ = true;
  if (ticks_since_start_ < config_.election_ticks) ++ticks_since_start_;
  write_commit_ = true;
  TickForwardedReads();
  if (Leader* self = leader()) {
    TickLeader(*self);
  } else {
    TickElection();
  }
}

void Raft::Step(Envelope envelope) {
  CHECK(envelope.to == config_.id, "message for {} reached {}", envelope.to, config_.id);
  dirty_ = true;
  if (!PassesTermRules(envelope)) return;
  std::visit([&](auto& message) { Handle(envelope.from, message); }, envelope.message);
}

bool Raft::PassesTermRules(const Envelope& envelope) {
  std::optional<Term> term = TermOf(envelope.message);
  if (!term || *term == term_) return true;
  if (*term < term_) return HandleOldTerm(envelope);
  const auto* vote = std::get_if<VoteRequest>(&envelope.message);
  // A member that hears its leader neither grants nor follows a higher term: one that was cut off
  // and comes back must not depose a healthy leader (thesis 4.2.3). A transfer was asked for by the
  // leader itself.
  if (vote != nullptr && !vote->transfer && HeardFromLeader()) return false;
  if (IsAboutFutureTerm(envelope.message)) return true;
  BecomeFollower(*term, IsFromLeader(envelope.message) ? envelope.from : NodeId());
  return true;
}

void Raft::Send(NodeId to, Message message) {
  output_.send.push_back({config_.id, to, std::move(message)});
}

// Promises (votes, acknowledgements) leave when all that was decided before them is durable.
void Raft::SendDurably(NodeId to, Message message) {
  release_.push_back({config_.id, to, std::move(message)});
}

// Answers that promise nothing but their term, e.g. to a heartbeat: a slow disk must not hold them
// up, only a term that could still be forgotten does.
void Raft::Answer(NodeId to, Message message) {
  if (durable_term_ == term_) {
    Send(to, std::move(message));
  } else {
    SendDurably(to, std::move(message));
  }
}

ReadId Raft::RequestRead() {
  dirty_ = true;
  if (!batch_open_) {
    ++last_batch_;
    batch_open_ = true;
  }
  return last_batch_;
}

void Raft::OnPersisted(uint64_t unit) {
  CHECK(unit <= last_unit_, "unit {} was never emitted, newest {}", unit, last_unit_);
  dirty_ = true;
  while (!units_.empty() && units_.front().id <= unit) {
    durable_term_ = units_.front().term;
    durable_vote_ = units_.front().vote;
    units_.pop_front();
  }
  log_.Persisted(unit);
  if (candidate() != nullptr) CountOwnVote();
  if (Leader* self = leader()) {
    if (Progress* own = self->tracker.Find(config_.id)) own->OnMatched(log_.stable());
    AdvanceCommit(*self);
  }
}

void Raft::OnApplied(Index index) {
  dirty_ = true;
  // A report from before a snapshot was installed.
  if (index <= log_.applied()) return;
  log_.AppliedTo(index);
  if (campaign_wanted_ && !log_.HasUnappliedConfChange()) Campaign();
}

ConfState Raft::ApplyConfChange(const ConfChange& change) {
  dirty_ = true;
  conf_ = Changed(conf_, change);
  Leader* self = leader();
  if (self == nullptr) return conf_;
  if (!IsVoter(conf_, config_.id)) {
    // A removed leader must not go on (etcd's StepDownOnRemoval).
    BecomeFollower(term_, NodeId());
    return conf_;
  }
  self->tracker.SetConf(conf_, log_.last());
  if (self->transferee && !IsVoter(conf_, self->transferee)) self->transferee = NodeId();
  AdvanceCommit(*self);  // a smaller quorum may already hold more
  CompleteRounds(*self);
  return conf_;
}

void Raft::TruncateLog(Index through) {
  dirty_ = true;
  log_.TruncatePrefix(through);
}

Term Raft::TermAt(Index index) const {
  std::optional<Term> term = log_.TermAt(index);
  CHECK(term, "entry {} is not in the log [{}, {}]", index, log_.first(), log_.last());
  return *term;
}

Output Raft::TakeOutput() {
  CollectReads();
  if (Leader* self = leader()) Replicate(*self);
  Output output = std::exchange(output_, {});
  CollectPersist(&output);
  // Nothing is applied to a state that is about to be replaced.
  if (!restoring_) output.apply = log_.HandOut(config_.apply_bytes_max);
  Index needed_by_nobody = log_.truncated();
  if (const Leader* self = leader()) needed_by_nobody = self->tracker.LowestPeerMatch();
  log_.DropWindow(needed_by_nobody, config_.window_bytes_max);
  RoleChange role = CurrentRole();
  if (role.role != told_role_.role || role.leader != told_role_.leader ||
      role.term != told_role_.term) {
    told_role_ = role;
    output.role = role;
  }
  dirty_ = false;
  return output;
}

void Raft::CollectReads() {
  if (Leader* self = leader()) {
    CollectLeaderReads(*self);
  } else {
    ForwardReads();
  }
}

void Raft::CollectPersist(Output* output) {
  PersistUnit unit;
  unit.reset_to = std::exchange(reset_to_, {});
  unit.truncate_from = log_.TakeTruncateFrom();
  unit.entries = log_.TakeUnemitted();
  HardState now{term_, vote_, log_.commit()};
  bool promised = now.term != emitted_.term || now.vote != emitted_.vote;
  unit.must_sync = promised || unit.reset_to || !unit.entries.empty() || unit.truncate_from;
  // A commit index alone rides along with the next unit, or goes once a tick: after a restart it is
  // only an optimisation, and a unit for each would double the work of the log writer.
  bool write_commit = std::exchange(write_commit_, false) && now.commit != emitted_.commit;
  if (!unit.must_sync && !write_commit && (release_.empty() || units_.empty())) {
    for (Envelope& envelope : release_) output->send.push_back(std::move(envelope));
    release_.clear();
    return;
  }
  if (unit.must_sync || write_commit) {
    if (now != emitted_) unit.hard_state = now;
    emitted_ = now;
  }
  unit.id = ++last_unit_;
  unit.release = std::exchange(release_, {});
  log_.Emitted(unit.id, unit.truncate_from);
  units_.push_back({unit.id, term_, vote_});
  output->persist = std::move(unit);
}

}  // namespace store::raft
