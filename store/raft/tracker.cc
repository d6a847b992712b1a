// SPDX-License-Identifier: Apache-2.0
#include "store/raft/tracker.h"

#include "store/raft/quorum.h"

#include <limits>
#include <set>

namespace store::raft {

Tracker::Tracker(const Config& config, const ConfState& conf, Index last)
    : self_(config.id),
      inflight_messages_max_(config.inflight_messages_max),
      inflight_bytes_max_(config.inflight_bytes_max) {
  SetConf(conf, last);
}

void Tracker::SetConf(const ConfState& conf, Index last) {
  conf_ = conf;
  std::set<NodeId> wanted(conf.voters.begin(), conf.voters.end());
  wanted.insert(conf.outgoing.begin(), conf.outgoing.end());
  wanted.insert(conf.learners.begin(), conf.learners.end());
  std::erase_if(members_, [&](const auto& member) { return !wanted.contains(member.first); });
  for (NodeId node : wanted) {
    auto [at, added] = members_.try_emplace(
        node, Progress(node, last + 1, inflight_messages_max_, inflight_bytes_max_));
    // A member that just came could not have been heard yet; without this grace its arrival could
    // depose a leader at the next quorum check.
    if (added) at->second.set_active(true);
  }
}

Progress* Tracker::Find(NodeId node) {
  auto at = members_.find(node);
  return at == members_.end() ? nullptr : &at->second;
}

const Progress* Tracker::Find(NodeId node) const {
  auto at = members_.find(node);
  return at == members_.end() ? nullptr : &at->second;
}

Index Tracker::QuorumMatch() const {
  return Index(QuorumValue(conf_, [this](NodeId voter) { return Find(voter)->match().value(); }));
}

Index Tracker::LowestPeerMatch() const {
  Index lowest(std::numeric_limits<uint64_t>::max());
  for (const auto& [node, progress] : members_) {
    if (node != self_) lowest = std::min(lowest, progress.match());
  }
  return lowest;
}

bool Tracker::TakeQuorumActive() {
  VoteResult result = QuorumVote(conf_, [this](NodeId voter) -> std::optional<bool> {
    return voter == self_ || Find(voter)->active();
  });
  for (auto& [node, progress] : members_) progress.set_active(false);
  return result == VoteResult::kWon;
}

}  // namespace store::raft
