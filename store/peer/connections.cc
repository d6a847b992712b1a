// SPDX-License-Identifier: Apache-2.0
#include "store/peer/connections.h"

#include <utility>

namespace store::peer {

void Connections::SetMembers(const cluster::MemberList& members) {
  std::set<raft::NodeId> voters;
  for (const cluster::Member& member : members) {
    if (!member.learner) voters.insert(member.id);
  }
  MutexLock lock(mutex_);
  voters_ = std::move(voters);
}

void Connections::Set(raft::NodeId peer, std::optional<TimePoint> since) {
  MutexLock lock(mutex_);
  if (since) {
    since_[peer] = *since;
  } else {
    since_.erase(peer);
  }
}

bool Connections::ToMemberSince(raft::NodeId peer, TimePoint start) const {
  MutexLock lock(mutex_);
  auto found = since_.find(peer);
  return found != since_.end() && found->second < start;
}

bool Connections::ToQuorumSince(TimePoint start) const {
  MutexLock lock(mutex_);
  size_t connected = 0;
  for (raft::NodeId voter : voters_) {
    auto found = since_.find(voter);
    bool reached = voter == self_ || (found != since_.end() && found->second < start);
    if (reached) ++connected;
  }
  return connected >= voters_.size() / 2 + 1;
}

}  // namespace store::peer
