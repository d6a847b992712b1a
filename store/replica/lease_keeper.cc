// SPDX-License-Identifier: Apache-2.0
#include "store/replica/lease_keeper.h"

#include "store/apply/command.h"
#include "store/base/failpoint.h"

#include <algorithm>
#include <string>
#include <utility>

namespace store::replica {

void LeaseKeeper::Restore(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds) {
  clock_.Granted(id, ttl_seconds, remaining_seconds, env_.Now());
}

void LeaseKeeper::OnRole(raft::Role role, raft::Raft& raft) {
  bool leads = role == raft::Role::kLeader;
  if (leads != clock_.primary()) {
    revokes_in_flight_ = 0;
    if (leads) {
      SetDeadlines();
      settles_at_ = raft.position().last;
    } else {
      settles_at_.reset();
      clock_.Demote();
      to_clear_.clear();
      Rejudge(ending_.begin(), ending_.end());
      GiveBack([](const Waiting&) { return true; });
    }
  }
  Place(raft);
}

void LeaseKeeper::SetDeadlines() {
  clock_.Promote(env_.Now(), election_timeout_, limits_.revokes_per_second);
}

void LeaseKeeper::OnApplied(const apply::ApplyReport& report) {
  for (const apply::LeaseChange& change : report.leases) {
    switch (change.kind) {
      case apply::LeaseChange::Kind::kGranted:
        clock_.Granted(change.id, change.ttl_seconds, 0, env_.Now());
        break;
      case apply::LeaseChange::Kind::kRevoked:
        clock_.Revoked(change.id);
        Rejudge(ending_.lower_bound(change.id), ending_.upper_bound(change.id));
        break;
      case apply::LeaseChange::Kind::kCheckpointed:
        clock_.Checkpointed(change.id, change.remaining_seconds);
        break;
    }
  }
  revokes_in_flight_ -= std::min(revokes_in_flight_, report.expiry_entries);
  applied_ = report.applied;
  // A checkpoint by which the deadlines were set may have been cleared in what was not applied yet.
  if (settles_at_ && applied_ >= *settles_at_) {
    settles_at_.reset();
    SetDeadlines();
    Rejudge(ending_.begin(), ending_.end());
  }
  AnswerReady();
}

void LeaseKeeper::OnInstalled(const SnapshotInstalled& installed) {
  clock_.Clear();
  for (const LeaseBoot& lease : installed.leases) {
    Restore(lease.id, lease.ttl_seconds, lease.remaining_seconds);
  }
  applied_ = installed.meta.index;
  AnswerReady();
}

void LeaseKeeper::OnRequests(LoopId loop, std::span<const LeaseRequest> requests,
                             raft::Raft& raft) {
  std::vector<LeaseAnswer> answers;
  // Made once: a thousand lists of a hundred thousand leases would be a gigabyte.
  std::shared_ptr<const std::vector<LeaseId>> list;
  for (const LeaseRequest& request : requests) {
    if (request.kind == LeaseRequest::Kind::kList) {
      // From local knowledge, as etcd does.
      if (list == nullptr) list = std::make_shared<const std::vector<LeaseId>>(clock_.List());
      answers.push_back({request.tag, ErrorCode::kOk, request.id, 0, 0, list});
    } else {
      parked_.push_back({loop, request});
    }
  }
  if (!answers.empty()) env_.AnswerLeases(loop, answers);
  Place(raft);
}

void LeaseKeeper::Place(raft::Raft& raft) {
  if (clock_.primary()) {
    for (const Parked& parked : std::exchange(parked_, {})) {
      (void)IsClear(parked.request);
      waiting_.push_back({{parked.loop, {}}, parked.request, raft.RequestRead(), {}, false});
    }
    return ProposeClears(raft);
  }
  raft::Position position = raft.position();
  // The core may lead already; OnRole will say so.
  if (position.leader && position.role != raft::Role::kLeader) ForwardTo(position.leader);
}

// Tags are other ones than in any former life of this member: an answer to that one may still come.
void LeaseKeeper::ForwardTo(raft::NodeId leader) {
  if (last_tag_ == 0) last_tag_ = env_.Random() >> 1;
  while (!parked_.empty()) {
    PeerLeaseRequest message;
    for (size_t n = std::min(parked_.size(), limits_.forward_batch); n > 0; --n) {
      LeaseRequest request = parked_.front().request;
      request.tag = ++last_tag_;
      message.requests.push_back(request);
      forwarded_.emplace(request.tag, Forwarded{parked_.front(), leader, env_.Now()});
      parked_.pop_front();
    }
    env_.SendPeer(leader, std::move(message));
  }
}

void LeaseKeeper::OnPeer(raft::NodeId from, const PeerMessage& message, raft::Raft& raft) {
  if (const auto* requests = std::get_if<PeerLeaseRequest>(&message)) {
    TakeRequests(from, *requests, raft);
  } else {
    TakeAnswers(from, std::get<PeerLeaseAnswer>(message));
  }
}

void LeaseKeeper::TakeRequests(raft::NodeId from, const PeerLeaseRequest& requests,
                               raft::Raft& raft) {
  std::vector<LeaseAnswer> refused;
  for (LeaseRequest request : requests.requests) {
    if (!clock_.primary()) {
      refused.push_back(Refusal(request, ErrorCode::kNotLeader));
    } else if (peer_waiting_ >= limits_.peer_requests_waiting) {
      refused.push_back(Refusal(request, ErrorCode::kTooManyRequests));
    } else {
      request.arrived = env_.Now();
      (void)IsClear(request);
      waiting_.push_back({{{}, from}, request, raft.RequestRead(), {}, false});
      ++peer_waiting_;
    }
  }
  if (!refused.empty()) env_.SendPeer(from, PeerLeaseAnswer{std::move(refused)});
  ProposeClears(raft);
}

void LeaseKeeper::TakeAnswers(raft::NodeId from, const PeerLeaseAnswer& answers) {
  std::map<LoopId, std::vector<LeaseAnswer>> by_loop;
  for (LeaseAnswer answer : answers.answers) {
    auto found = forwarded_.find(answer.tag);
    if (found == forwarded_.end() || found->second.leader != from) continue;
    Parked parked = found->second.parked;
    forwarded_.erase(found);
    if (answer.error != ErrorCode::kOk && answer.error != ErrorCode::kLeaseNotFound) {
      parked_.push_back(parked);  // no leader any more; the next tick knows another one
      continue;
    }
    answer.tag = parked.request.tag;
    by_loop[parked.loop].push_back(std::move(answer));
  }
  for (const auto& [loop, told] : by_loop) env_.AnswerLeases(loop, told);
}

// Question or answer may be lost, and a leader may never come.
void LeaseKeeper::Reconsider(TimePoint now, raft::Raft& raft) {
  std::erase_if(forwarded_, [&](const auto& row) {
    bool lost = row.second.sent + limits_.forward_retry <= now;
    if (lost) parked_.push_back(row.second.parked);
    return lost;
  });
  ErrorCode code = raft.position().leader ? ErrorCode::kTimeout : ErrorCode::kNoLeader;
  std::map<LoopId, std::vector<LeaseAnswer>> given_up;
  std::erase_if(parked_, [&](const Parked& parked) {
    bool late = parked.request.arrived + limits_.forward_patience <= now;
    if (late) given_up[parked.loop].push_back(Refusal(parked.request, code));
    return late;
  });
  for (const auto& [loop, told] : given_up) env_.AnswerLeases(loop, told);
  Place(raft);
}

void LeaseKeeper::OnGrant(const raft::ReadGrant& grant) {
  for (Waiting& waiting : waiting_) {
    if (waiting.granted) continue;
    if (waiting.batch > grant.batch) break;
    waiting.granted = true;
    waiting.index = grant.index;
  }
  AnswerReady();
}

// Waits for apply too: a grant that is committed but not applied here yet must not look unknown.
void LeaseKeeper::AnswerReady() {
  if (!clock_.primary()) return;
  AnswerWhile(
      [this](const Waiting& front) {
        return front.granted && front.index <= applied_ && IsClear(front.request);
      },
      [this](const Waiting& front) { return AnswerOrHold(front); });
}

// Its keys are there until the revoke is applied. Those behind it do not wait: a thousand leases
// may end at a time.
std::optional<LeaseAnswer> LeaseKeeper::AnswerOrHold(const Waiting& one) {
  bool ends = one.request.kind == LeaseRequest::Kind::kKeepAlive &&
              clock_.IsEnding(one.request.id, one.request.arrived);
  if (!ends) return Answer(one.request);
  ending_.emplace(one.request.id, one);
  return std::nullopt;
}

void LeaseKeeper::Rejudge(Ending::iterator first, Ending::iterator last) {
  for (auto row = first; row != last; ++row) waiting_.push_front(row->second);
  ending_.erase(first, last);
}

// A member has asked again meanwhile, under another tag.
void LeaseKeeper::ForgetEnding(TimePoint now) {
  std::erase_if(ending_, [&](const auto& row) {
    const Waiting& one = row.second;
    bool peer = static_cast<bool>(one.origin.peer);
    Duration patience = peer ? limits_.forward_retry : limits_.forward_patience;
    if (one.request.arrived + patience > now) return false;
    if (peer) --peer_waiting_;
    if (!peer) Tell(one.origin, {Refusal(one.request, ErrorCode::kTimeout)});
    return true;
  });
}

bool LeaseKeeper::IsClear(const LeaseRequest& request) {
  if (request.kind != LeaseRequest::Kind::kKeepAlive) return true;
  if (clock_.NeedsClear(request.id)) to_clear_.insert(request.id);
  return !clock_.HasCheckpoint(request.id);
}

// At most two entries per lease and interval: one checkpoint, and its clearing by the first
// keep-alive after it.
void LeaseKeeper::ProposeClears(raft::Raft& raft) {
  while (!to_clear_.empty()) {
    std::vector<lease::LeaseClock::Checkpoint> batch;
    for (LeaseId id : to_clear_) {
      if (batch.size() == limits_.checkpoints_per_entry) break;
      batch.push_back({id, 0});
    }
    if (!Propose(batch, raft)) return;  // the next tick tries again
    for (const auto& one : batch) to_clear_.erase(one.id);
  }
}

bool LeaseKeeper::Propose(std::span<const lease::LeaseClock::Checkpoint> checkpoints,
                          raft::Raft& raft) {
  if (raft.position().role != raft::Role::kLeader) return false;  // it would be forwarded
  if (raft.Propose({apply::EncodeLeaseCheckpoints(checkpoints)}) !=
      raft::ProposeResult::kAppended) {
    return false;
  }
  for (const auto& one : checkpoints) clock_.CheckpointProposed(one);
  return true;
}

// What is refused is due again after an interval.
void LeaseKeeper::ProposeCheckpoints(TimePoint now, raft::Raft& raft) {
  auto due = clock_.TakeCheckpoints(now, limits_.checkpoints_per_entry);
  if (due.empty()) return;
  FAILPOINT("lease-checkpoint");
  (void)Propose(due, raft);
}

void LeaseKeeper::OnReadsFailed(raft::ReadId batch) {
  GiveBack([batch](const Waiting& one) { return one.batch <= batch && !one.granted; });
}

void LeaseKeeper::GiveBack(absl::FunctionRef<bool(const Waiting&)> which) {
  std::map<raft::NodeId, PeerLeaseAnswer> refused;
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (!which(one)) return false;
    if (one.origin.peer) {
      --peer_waiting_;
      refused[one.origin.peer].answers.push_back(Refusal(one.request, ErrorCode::kLeaderChanged));
    } else {
      parked_.push_back({one.origin.loop, one.request});
    }
    return true;
  });
  for (auto& [peer, answers] : refused) env_.SendPeer(peer, std::move(answers));
}

void LeaseKeeper::FailAll(ErrorCode code) {
  Rejudge(ending_.begin(), ending_.end());
  AnswerWhile([](const Waiting&) { return true; },
              [code](const Waiting& one) { return Refusal(one.request, code); });
  for (const auto& [tag, row] : forwarded_) parked_.push_back(row.parked);
  forwarded_.clear();
  for (const Parked& parked : std::exchange(parked_, {})) {
    Tell({parked.loop, {}}, {Refusal(parked.request, code)});
  }
}

// From the front, in order; what follows one another for the same asker is one mail.
void LeaseKeeper::AnswerWhile(
    absl::FunctionRef<bool(const Waiting&)> ready,
    absl::FunctionRef<std::optional<LeaseAnswer>(const Waiting&)> answer) {
  while (!waiting_.empty() && ready(waiting_.front())) {
    Origin origin = waiting_.front().origin;
    std::vector<LeaseAnswer> answers;
    while (!waiting_.empty() && waiting_.front().origin == origin && ready(waiting_.front())) {
      if (auto told = answer(waiting_.front())) answers.push_back(std::move(*told));
      waiting_.pop_front();
    }
    if (!answers.empty()) Tell(origin, std::move(answers));
  }
}

void LeaseKeeper::Tell(const Origin& origin, std::vector<LeaseAnswer> answers) {
  if (!origin.peer) return env_.AnswerLeases(origin.loop, answers);
  peer_waiting_ -= answers.size();
  env_.SendPeer(origin.peer, PeerLeaseAnswer{std::move(answers)});
}

LeaseAnswer LeaseKeeper::Answer(const LeaseRequest& request) {
  LeaseAnswer answer{request.tag, ErrorCode::kOk, request.id, 0, 0, {}};
  switch (request.kind) {
    case LeaseRequest::Kind::kKeepAlive: {
      auto ttl = clock_.Renew(request.id, request.arrived);
      if (ttl) answer.ttl_seconds = answer.granted_seconds = *ttl;
      if (!ttl) answer.error = ErrorCode::kLeaseNotFound;
      break;
    }
    case LeaseRequest::Kind::kTimeToLive: {
      auto left = clock_.TimeToLive(request.id, env_.Now());
      if (left) answer.ttl_seconds = left->ttl_seconds;
      if (left) answer.granted_seconds = left->granted_seconds;
      if (!left) answer.error = ErrorCode::kLeaseNotFound;
      break;
    }
    case LeaseRequest::Kind::kList:  // was answered when it came
      break;
  }
  return answer;
}

LeaseAnswer LeaseKeeper::Refusal(const LeaseRequest& request, ErrorCode code) {
  return {request.tag, code, request.id, 0, 0, {}};
}

void LeaseKeeper::OnTick(TimePoint now, raft::Raft& raft) {
  if (!parked_.empty() || !forwarded_.empty()) Reconsider(now, raft);
  if (now < next_scan_ || !clock_.primary()) return;
  // The core may follow already; OnRole will say so. A proposal of now would be forwarded, and the
  // leader there has given each lease its time anew.
  if (raft.position().role != raft::Role::kLeader || settles_at_) return;
  // From where it was due: a tick that comes a little late takes nothing from the next.
  next_scan_ = std::max(next_scan_ + limits_.scan_interval, now);
  ForgetEnding(now);
  ProposeClears(raft);
  ProposeRevokes(now, raft);
  ProposeCheckpoints(now, raft);
}

void LeaseKeeper::ProposeRevokes(TimePoint now, raft::Raft& raft) {
  size_t scans_per_second =
      std::max<size_t>(1, static_cast<size_t>(std::chrono::seconds(1) / limits_.scan_interval));
  size_t budget = std::max<size_t>(1, limits_.revokes_per_second / scans_per_second);
  while (budget > 0 && revokes_in_flight_ < limits_.revoke_entries_in_flight) {
    auto ids =
        clock_.TakeExpired(now, std::min(budget, limits_.ids_per_entry), limits_.revoke_retry);
    if (ids.empty()) return;
    budget -= ids.size();
    FAILPOINT("lease-expire");
    // A refused proposal is not kept: the same ids come up again after revoke_retry.
    if (raft.Propose({apply::EncodeLeaseExpiry(ids)}) != raft::ProposeResult::kAppended) return;
    ++revokes_in_flight_;
  }
}

}  // namespace store::replica
