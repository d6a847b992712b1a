// SPDX-License-Identifier: Apache-2.0
// LeaseKeeper: the clockwork of leases on this member. On the leader it proposes the revoke of what
// is overdue (one log entry may carry many ids) and answers keep-alives, after a read round has
// confirmed that this member still leads: a deposed leader must not promise a lease another one may
// already have revoked. Followers answer "not leader" until the cluster issue forwards them.
// Replica thread only; bounded by LeaseKeeperLimits and, for waiting requests, by what the edge
// admitted.
#pragma once

#include "store/apply/report.h"
#include "store/lease/lease_clock.h"
#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace store::replica {

struct LeaseKeeperLimits {
  size_t revokes_per_second = 1000;
  size_t revoke_entries_in_flight = 16;
  size_t ids_per_entry = 64;
  Duration scan_interval = std::chrono::milliseconds(100);
  Duration revoke_retry = std::chrono::seconds(3);
};

class LeaseKeeper {
 public:
  LeaseKeeper(const LeaseKeeperLimits& limits, Duration election_timeout, Env& env)
      : limits_(limits), election_timeout_(election_timeout), env_(env) {}

  void Restore(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds);
  void OnRole(raft::Role role);
  void OnApplied(const apply::ApplyReport& report);
  void OnRequests(LoopId loop, std::span<const LeaseRequest> requests, raft::Raft& raft);
  void OnGrant(const raft::ReadGrant& grant);
  void OnReadsFailed(raft::ReadId batch);
  void OnTick(TimePoint now, raft::Raft& raft);
  void FailAll(ErrorCode code);

 private:
  struct Waiting {
    LoopId loop;
    LeaseRequest request;
    raft::ReadId batch;
    raft::Index index;  // known once granted
    bool granted = false;
  };
  LeaseAnswer Answer(const LeaseRequest& request);
  static LeaseAnswer Refusal(const LeaseRequest& request, ErrorCode code);
  void AnswerReady();
  void AnswerWhile(absl::FunctionRef<bool(const Waiting&)> ready,
                   absl::FunctionRef<LeaseAnswer(const LeaseRequest&)> answer);

  const LeaseKeeperLimits limits_;
  const Duration election_timeout_;
  Env& env_;
  lease::LeaseClock clock_;
  std::deque<Waiting> waiting_;
  raft::Index applied_;
  TimePoint next_scan_{};
  size_t revokes_in_flight_ = 0;
};

}  // namespace store::replica
