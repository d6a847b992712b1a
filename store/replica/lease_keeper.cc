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

void LeaseKeeper::OnRole(raft::Role role) {
  bool leads = role == raft::Role::kLeader;
  if (leads == clock_.primary()) return;
  revokes_in_flight_ = 0;
  if (leads) {
    clock_.Promote(env_.Now(), election_timeout_);
  } else {
    clock_.Demote();
  }
}

void LeaseKeeper::OnApplied(const apply::ApplyReport& report) {
  for (const apply::LeaseChange& change : report.leases) {
    switch (change.kind) {
      case apply::LeaseChange::Kind::kGranted:
        clock_.Granted(change.id, change.ttl_seconds, 0, env_.Now());
        break;
      case apply::LeaseChange::Kind::kRevoked:
        clock_.Revoked(change.id);
        break;
      case apply::LeaseChange::Kind::kCheckpointed:
        clock_.Checkpointed(change.id, change.remaining_seconds);
        break;
    }
  }
  revokes_in_flight_ -= std::min(revokes_in_flight_, report.expiry_entries);
  applied_ = report.applied;
  AnswerReady();
}

void LeaseKeeper::OnRequests(LoopId loop, std::span<const LeaseRequest> requests,
                             raft::Raft& raft) {
  std::vector<LeaseAnswer> answers;
  for (const LeaseRequest& request : requests) {
    if (request.kind == LeaseRequest::Kind::kList) {
      answers.push_back(Answer(request));  // from local knowledge, as etcd does
    } else if (!clock_.primary()) {
      bool leaderless = raft.position().leader == raft::NodeId(0);
      answers.push_back(
          Refusal(request, leaderless ? ErrorCode::kNoLeader : ErrorCode::kNotLeader));
    } else {
      waiting_.push_back({loop, request, raft.RequestRead(), {}, false});
    }
  }
  if (!answers.empty()) env_.AnswerLeases(loop, answers);
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
  AnswerWhile([this](const Waiting& front) { return front.granted && front.index <= applied_; },
              [this](const LeaseRequest& request) { return Answer(request); });
}

void LeaseKeeper::OnReadsFailed(raft::ReadId batch) {
  AnswerWhile(
      [batch](const Waiting& front) { return front.batch <= batch && !front.granted; },
      [](const LeaseRequest& request) { return Refusal(request, ErrorCode::kLeaderChanged); });
}

void LeaseKeeper::FailAll(ErrorCode code) {
  AnswerWhile([](const Waiting&) { return true; },
              [code](const LeaseRequest& request) { return Refusal(request, code); });
}

// From the front, in order; what follows one another for the same loop is one mail.
void LeaseKeeper::AnswerWhile(absl::FunctionRef<bool(const Waiting&)> ready,
                              absl::FunctionRef<LeaseAnswer(const LeaseRequest&)> answer) {
  while (!waiting_.empty() && ready(waiting_.front())) {
    LoopId loop = waiting_.front().loop;
    std::vector<LeaseAnswer> answers;
    while (!waiting_.empty() && waiting_.front().loop == loop && ready(waiting_.front())) {
      answers.push_back(answer(waiting_.front().request));
      waiting_.pop_front();
    }
    env_.AnswerLeases(loop, answers);
  }
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
    case LeaseRequest::Kind::kList:
      answer.leases = clock_.List();
      break;
  }
  return answer;
}

LeaseAnswer LeaseKeeper::Refusal(const LeaseRequest& request, ErrorCode code) {
  return {request.tag, code, request.id, 0, 0, {}};
}

void LeaseKeeper::OnTick(TimePoint now, raft::Raft& raft) {
  if (now < next_scan_ || !clock_.primary()) return;
  next_scan_ = now + limits_.scan_interval;
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
