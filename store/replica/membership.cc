// SPDX-License-Identifier: Apache-2.0
#include "store/replica/membership.h"

#include <algorithm>
#include <utility>

namespace store::replica {
namespace {

size_t QuorumOf(size_t voters) { return voters / 2 + 1; }

}  // namespace

Membership::Membership(const MembershipLimits& limits, raft::NodeId self, Duration election_timeout,
                       std::shared_ptr<const Members> members, Env& env)
    : limits_(limits),
      self_(self),
      election_timeout_(election_timeout),
      env_(env),
      members_(std::move(members)) {
  if (members_ == nullptr) members_ = std::make_shared<const Members>();
}

void Membership::OnRequest(AdminRequest request, raft::Raft& raft) {
  if (auto* change = std::get_if<MemberChange>(&request.what)) {
    return Enqueue({request.id, request.deadline, std::move(*change)}, raft);
  }
  raft::NodeId to = std::get<LeaderMove>(request.what).to;
  raft::Position position = raft.position();
  if (position.leader == to) return env_.AnswerAdmin(request.id, ErrorCode::kOk);
  if (position.role != raft::Role::kLeader) {
    return env_.AnswerAdmin(request.id, ErrorCode::kNotLeader);
  }
  if (waiting() >= limits_.waiting_max) {
    return env_.AnswerAdmin(request.id, ErrorCode::kTooManyRequests);
  }
  moves_.push_back({request.id, request.deadline, to});
  raft.TransferLeadership(to);
}

void Membership::OnPeerChange(const PeerMemberChange& change, raft::Raft& raft) {
  Enqueue({change.id, env_.Now() + change.patience, change.what}, raft);
}

void Membership::OnPeerRefusal(const PeerMemberRefusal& refusal) {
  if (refusal.id.member == self_.value()) env_.AnswerAdmin(refusal.id, refusal.error);
}

void Membership::Enqueue(Change change, raft::Raft& raft) {
  if (waiting() >= limits_.waiting_max) return Refuse(change.id, ErrorCode::kTooManyRequests);
  changes_.push_back(std::move(change));
  Advance(raft);
}

void Membership::OnConnection(raft::NodeId peer, bool up) {
  Peer& row = peers_[peer];
  if (!up) {
    row.up.reset();
  } else if (!row.up) {
    row.up = env_.Now();
  }
}

// Whoever speaks is connected, also for a host that does not tell of connections.
void Membership::OnHeard(raft::NodeId peer) {
  auto found = peers_.find(peer);
  if (found == peers_.end()) {
    if (Find(peer) == nullptr) return;
    found = peers_.try_emplace(peer).first;
  }
  TimePoint now = env_.Now();
  if (!found->second.up) found->second.up = now;
  found->second.heard = now;
}

void Membership::OnRole(const raft::RoleChange& role, raft::Raft& raft) {
  if (role.role != role_.role || role.term != role_.term) role_since_ = env_.Now();
  role_ = role;
  handing_over_.reset();
  AnswerMoves(role.leader);
  Advance(raft);
}

// Any other leader leaves the callers waiting, as at etcd: the target may still take over.
void Membership::AnswerMoves(raft::NodeId leader) {
  std::erase_if(moves_, [&](const Move& move) {
    if (leader != move.to) return false;
    env_.AnswerAdmin(move.id, ErrorCode::kOk);
    return true;
  });
}

void Membership::OnMembers(const std::shared_ptr<const Members>& members, raft::Raft& raft) {
  if (members != nullptr) {
    members_ = members;
    std::erase_if(peers_, [this](const auto& row) { return Find(row.first) == nullptr; });
  }
  Advance(raft);
}

void Membership::OnTick(TimePoint now, raft::Raft& raft) {
  std::erase_if(moves_, [&](const Move& move) {
    if (move.deadline > now) return false;
    env_.AnswerAdmin(move.id, ErrorCode::kTimeoutLeaderTransfer);
    return true;
  });
  // Nothing of these was proposed.
  std::erase_if(changes_, [&](const Change& change) {
    if (change.deadline > now) return false;
    Refuse(change.id, ErrorCode::kTimeout);
    return true;
  });
  // Raft has given up the transfer by now.
  if (handing_over_ && now - *handing_over_ > 2 * election_timeout_) handing_over_.reset();
  Advance(raft);
}

void Membership::FailAll(ErrorCode code) {
  for (const Move& move : moves_) env_.AnswerAdmin(move.id, code);
  for (const Change& change : changes_) Refuse(change.id, code);
  moves_.clear();
  changes_.clear();
}

// In the order in which they came.
void Membership::Advance(raft::Raft& raft) {
  while (!changes_.empty()) {
    if (Try(changes_.front(), raft.position(), raft) == Step::kWait) return;
    changes_.pop_front();
  }
}

Membership::Step Membership::Try(const Change& change, const raft::Position& position,
                                 raft::Raft& raft) {
  if (position.role == raft::Role::kLeader) return Propose(change, raft);
  if (position.leader == raft::NodeId()) return Step::kWait;
  Duration patience = change.deadline - env_.Now();
  env_.SendPeer(position.leader, PeerMemberChange{change.id, patience, change.what});
  return Step::kDone;
}

Membership::Step Membership::Propose(const Change& change, raft::Raft& raft) {
  raft::Status status = raft.status();
  // The members as they will be are known when it is applied; then raft takes the next one, too.
  if (status.conf_change_pending || handing_over_) return Step::kWait;
  ErrorCode refused = Check(change.what, status);
  if (refused != ErrorCode::kOk) {
    Refuse(change.id, refused);
    return Step::kDone;
  }
  const raft::ConfChange& wanted = change.what.change;
  bool own_removal = wanted.kind == raft::ConfChangeKind::kRemove && wanted.node == self_;
  // Without a healthy one this member has to do it itself.
  bool handed = own_removal && HandOver([this](raft::NodeId id) { return Healthy(id); }, raft);
  if (handed) return Step::kWait;
  raft::ProposeResult result = raft.ProposeConfChange(wanted);
  return result == raft::ProposeResult::kAppended ? Step::kDone : Step::kWait;
}

bool Membership::OnLeave(raft::Raft& raft) {
  if (raft.position().role != raft::Role::kLeader) return false;
  // How long it has been connected does not matter: raft takes leadership back if it fails.
  return HandOver([this](raft::NodeId id) { return Connected(id) && !Silent(id); }, raft);
}

bool Membership::HandOver(absl::FunctionRef<bool(raft::NodeId)> fits, raft::Raft& raft) {
  raft::NodeId heir =
      raft::HeirOf(raft.status(), [&fits](const raft::PeerStatus& peer) { return fits(peer.id); });
  if (heir == raft::NodeId()) return false;
  handing_over_ = env_.Now();
  raft.TransferLeadership(heir);
  return true;
}

void Membership::Refuse(const apply::RequestId& id, ErrorCode code) {
  if (id.member == self_.value()) return env_.AnswerAdmin(id, code);
  env_.SendPeer(raft::NodeId(id.member), PeerMemberRefusal{id, code});
}

ErrorCode Membership::Check(const MemberChange& what, const raft::Status& status) const {
  switch (what.verb) {
    case MemberChange::Verb::kAdd:
      return CheckAdd(what.change.kind == raft::ConfChangeKind::kAddLearner);
    case MemberChange::Verb::kRemove:
      return CheckRemove(what.change.node);
    case MemberChange::Verb::kPromote:
      return CheckPromote(what.change.node, status);
  }
  return ErrorCode::kInternal;
}

ErrorCode Membership::CheckAdd(bool learner) const {
  if (!limits_.strict) return ErrorCode::kOk;
  size_t voters = Voters();
  size_t started = Started();
  bool second = voters == 1 && started == 1;
  if (!learner && !second && started < QuorumOf(voters + 1)) {
    return ErrorCode::kMemberNotEnoughStarted;
  }
  bool enough = voters <= 1 || HealthyVoters() >= QuorumOf(voters + 1);
  return enough ? ErrorCode::kOk : ErrorCode::kUnhealthy;
}

ErrorCode Membership::CheckRemove(raft::NodeId node) const {
  const cluster::Member* member = Find(node);
  if (!limits_.strict || (member != nullptr && member->learner)) return ErrorCode::kOk;
  size_t others = Voters() - (member != nullptr ? 1 : 0);
  if (others == 0 || Started(node) < QuorumOf(others)) return ErrorCode::kMemberNotEnoughStarted;
  // One that is away is no part of the quorum that works.
  if (node != self_ && (!Connected(node) || Silent(node))) return ErrorCode::kOk;
  bool enough = HealthyVoters() >= 2 + (Voters() - 1) / 2;
  return enough ? ErrorCode::kOk : ErrorCode::kUnhealthy;
}

ErrorCode Membership::CheckPromote(raft::NodeId node, const raft::Status& status) const {
  const raft::PeerStatus* learner = nullptr;
  for (const raft::PeerStatus& peer : status.peers) {
    if (peer.id == node) learner = &peer;
  }
  if (learner == nullptr) return ErrorCode::kMemberNotFound;
  uint64_t needed = status.last.value() / 100 * static_cast<uint64_t>(limits_.ready_percent) +
                    status.last.value() % 100 * static_cast<uint64_t>(limits_.ready_percent) / 100;
  if (learner->match.value() < needed) return ErrorCode::kMemberLearnerNotReady;
  if (limits_.strict && Started() + 1 < QuorumOf(Voters() + 1)) {
    return ErrorCode::kMemberNotEnoughStarted;
  }
  return ErrorCode::kOk;
}

const cluster::Member* Membership::Find(raft::NodeId id) const {
  auto found = std::find_if(members_->begin(), members_->end(),
                            [id](const cluster::Member& member) { return member.id == id; });
  return found == members_->end() ? nullptr : &*found;
}

size_t Membership::Voters() const {
  return static_cast<size_t>(
      std::count_if(members_->begin(), members_->end(), [](const auto& m) { return !m.learner; }));
}

size_t Membership::Started(raft::NodeId except) const {
  return static_cast<size_t>(std::count_if(members_->begin(), members_->end(), [&](const auto& m) {
    return !m.learner && !m.name.empty() && m.id != except;
  }));
}

size_t Membership::HealthyVoters() const {
  return static_cast<size_t>(std::count_if(members_->begin(), members_->end(), [&](const auto& m) {
    return !m.learner && Healthy(m.id);
  }));
}

bool Membership::Connected(raft::NodeId id) const {
  auto found = peers_.find(id);
  return found != peers_.end() && found->second.up.has_value();
}

bool Membership::Healthy(raft::NodeId id) const {
  if (id == self_) return true;
  if (!Connected(id) || Silent(id)) return false;
  return env_.Now() - *peers_.at(id).up >= limits_.healthy_after;
}

// A process that hangs keeps its connections; only a leader is sure to be spoken to.
bool Membership::Silent(raft::NodeId id) const {
  TimePoint now = env_.Now();
  bool leads = role_.role == raft::Role::kLeader && now - role_since_ > election_timeout_;
  return leads && now - peers_.at(id).heard > election_timeout_;
}

}  // namespace store::replica
