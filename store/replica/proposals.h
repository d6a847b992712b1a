// SPDX-License-Identifier: Apache-2.0
// Proposals: bundles on their way into raft. A bundle that raft refused as a whole (no leader yet,
// too much uncommitted) waits and is offered again in order until its deadline; once raft took it,
// it is never offered again, because a second copy could be applied twice. What another member
// forwarded and raft refuses (leadership is being handed over, or this member leads no more) waits
// too, for a short time, and goes to whoever leads then: its sender never sends it again. Replica
// thread only. Bounded: of this member's clients by what the edge admitted (a waiting bundle is a
// pending call already counted there), of other members by `forwarded_bytes`; more is dropped, and
// its callers time out.
#pragma once

#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace store::replica {

struct ProposalLimits {
  size_t apply_lag_entries = 5000;  // commit - applied, above it "too many requests"
  size_t forwarded_bytes = 16 << 20;
};

class Proposals {
 public:
  // `replay_through`: the last entry of the log at boot. Until it is applied the lag is the
  // restart's, not the clients', and refuses nobody.
  Proposals(const ProposalLimits& limits, Duration forward_patience, raft::Index replay_through,
            Env& env)
      : limits_(limits),
        forward_patience_(forward_patience),
        replay_through_(replay_through),
        env_(env) {}

  void Offer(ProposalBundle bundle, raft::Raft& raft);
  // Of another member, which takes this one for the leader.
  void OfferForwarded(std::vector<std::string> commands, raft::Raft& raft);
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
  size_t forwarded_bytes() const { return forwarded_bytes_; }

 private:
  struct Forwarded {
    std::vector<std::string> commands;
    size_t bytes = 0;
    TimePoint deadline;
  };
  // Moved from only when taken, and then true.
  bool Take(std::vector<std::string>& commands, raft::Raft& raft);
  void RetryForwarded(raft::Raft& raft);
  void DropOldestForwarded();
  // true: raft has it (or it was answered).
  bool Propose(ProposalBundle& bundle, raft::Raft& raft);
  void Fail(const ProposalBundle& bundle, ErrorCode code);

  const ProposalLimits limits_;
  const Duration forward_patience_;
  const raft::Index replay_through_;
  Env& env_;
  std::deque<ProposalBundle> waiting_;
  size_t count_ = 0;  // proposals in waiting_
  std::deque<Forwarded> forwarded_;
  size_t forwarded_bytes_ = 0;
  TimePoint held_until_{};
};

}  // namespace store::replica
