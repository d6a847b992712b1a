// SPDX-License-Identifier: Apache-2.0
#include "store/replica/proposals.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace store::replica {
namespace {

constexpr size_t kCommandOverhead = sizeof(std::string);

}  // namespace

void Proposals::Offer(ProposalBundle bundle, raft::Raft& raft) {
  raft::Position position = raft.position();
  bool replaying = position.applied < replay_through_;
  if (!replaying && position.commit - position.applied > limits_.apply_lag_entries) {
    Fail(bundle, ErrorCode::kTooManyRequests);
    return;
  }
  // A newer bundle never overtakes a waiting one: clients see their writes in the order they sent
  // them.
  if (!waiting_.empty() || !Propose(bundle, raft)) {
    count_ += bundle.proposals.size();
    waiting_.push_back(std::move(bundle));
  }
}

bool Proposals::Take(std::vector<std::string>& commands, raft::Raft& raft) {
  bool held = env_.Now() < held_until_;
  if (held && raft.position().role != raft::Role::kLeader) return false;
  raft::ProposeResult result = raft.Propose(std::move(commands));
  return result == raft::ProposeResult::kAppended || result == raft::ProposeResult::kForwarded;
}

// It cannot go round in circles: whoever is taken for the leader of a term has reached that term,
// and passes it on only to the leader of a later one.
void Proposals::OfferForwarded(std::vector<std::string> commands, raft::Raft& raft) {
  if (forwarded_.empty() && Take(commands, raft)) return;
  size_t bytes = sizeof(Forwarded);
  for (const std::string& command : commands) bytes += command.size() + kCommandOverhead;
  if (forwarded_bytes_ + bytes > limits_.forwarded_bytes) return;
  forwarded_bytes_ += bytes;
  forwarded_.push_back({std::move(commands), bytes, env_.Now() + forward_patience_});
}

void Proposals::DropOldestForwarded() {
  forwarded_bytes_ -= forwarded_.front().bytes;
  forwarded_.pop_front();
}

void Proposals::RetryForwarded(raft::Raft& raft) {
  while (!forwarded_.empty() && Take(forwarded_.front().commands, raft)) DropOldestForwarded();
}

void Proposals::Retry(raft::Raft& raft) {
  RetryForwarded(raft);
  while (!waiting_.empty()) {
    size_t size = waiting_.front().proposals.size();
    if (!Propose(waiting_.front(), raft)) return;
    count_ -= size;
    waiting_.pop_front();
  }
}

bool Proposals::Propose(ProposalBundle& bundle, raft::Raft& raft) {
  if (bundle.proposals.empty()) return true;
  std::vector<std::string> commands;
  commands.reserve(bundle.proposals.size());
  for (Proposal& proposal : bundle.proposals) commands.push_back(std::move(proposal.command));
  if (Take(commands, raft)) return true;
  for (size_t i = 0; i < commands.size(); ++i) {
    bundle.proposals[i].command = std::move(commands[i]);
  }
  return false;
}

void Proposals::Expire(TimePoint now) {
  while (!forwarded_.empty() && forwarded_.front().deadline <= now) DropOldestForwarded();
  for (auto bundle = waiting_.begin(); bundle != waiting_.end();) {
    auto& proposals = bundle->proposals;
    auto late = std::stable_partition(proposals.begin(), proposals.end(),
                                      [now](const Proposal& p) { return p.deadline > now; });
    std::vector<apply::RequestId> ids;
    for (auto p = late; p != proposals.end(); ++p) ids.push_back(p->id);
    proposals.erase(late, proposals.end());
    count_ -= ids.size();
    if (!ids.empty()) env_.FailProposals(bundle->loop, ids, ErrorCode::kTimeout);
    bundle = proposals.empty() ? waiting_.erase(bundle) : std::next(bundle);
  }
}

void Proposals::FailAll(ErrorCode code) {
  for (const ProposalBundle& bundle : waiting_) Fail(bundle, code);
  waiting_.clear();
  count_ = 0;
}

void Proposals::Fail(const ProposalBundle& bundle, ErrorCode code) {
  std::vector<apply::RequestId> ids;
  ids.reserve(bundle.proposals.size());
  for (const Proposal& proposal : bundle.proposals) ids.push_back(proposal.id);
  env_.FailProposals(bundle.loop, ids, code);
}

}  // namespace store::replica
