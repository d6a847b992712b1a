// SPDX-License-Identifier: Apache-2.0
// Proposals: bundles on their way into raft. A bundle that raft refused as a whole (no leader yet,
// too much uncommitted) waits and is offered again in order until its deadline; once raft took it,
// it is never offered again, because a second copy could be applied twice. Replica thread only.
// Bounded by what the edge admitted (pending calls): a waiting bundle is a pending call already
// counted there.
#pragma once

#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <cstddef>
#include <deque>

namespace store::replica {

class Proposals {
 public:
  // `replay_through`: the last entry of the log at boot. Until it is applied the lag is the
  // restart's, not the clients', and refuses nobody.
  Proposals(size_t apply_lag_entries_max, raft::Index replay_through, Env& env)
      : lag_max_(apply_lag_entries_max), replay_through_(replay_through), env_(env) {}

  void Offer(ProposalBundle bundle, raft::Raft& raft);
  // Offers what waits, oldest first, until raft refuses again.
  void Retry(raft::Raft& raft);
  // Fails what waited beyond its deadline; each with kTimeout: it never reached the log.
  void Expire(TimePoint now);
  void FailAll(ErrorCode code);
  // Messages to the leader are lost at the moment: until then nothing is forwarded. A forwarded
  // command that is lost is never sent again, and its caller waits in vain for its whole timeout.
  void HoldUntil(TimePoint until) { held_until_ = until; }
  void Release() { held_until_ = {}; }
  size_t size() const { return count_; }

 private:
  // true: raft has it (or it was answered).
  bool Propose(ProposalBundle& bundle, raft::Raft& raft);
  void Fail(const ProposalBundle& bundle, ErrorCode code);

  const size_t lag_max_;
  const raft::Index replay_through_;
  Env& env_;
  std::deque<ProposalBundle> waiting_;
  size_t count_ = 0;  // proposals in waiting_
  TimePoint held_until_{};
};

}  // namespace store::replica
