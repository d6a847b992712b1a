// SPDX-License-Identifier: Apache-2.0
// LeaseKeeper: the clockwork of leases on this member. On the leader it proposes the revoke of what
// is overdue (one log entry may carry many ids) and answers keep-alives, after a read round has
// confirmed that this member still leads: a deposed leader must not promise a lease another one may
// already have revoked. Elsewhere requests are forwarded to the leader, under tags of this keeper's
// own, and offered again (both kinds may be repeated) until one answers or their patience is over;
// without a leader they wait here. A keep-alive of a lease that has expired is answered when its
// revoke is applied, and others do not wait behind it. Checkpoints (lease_clock.h) are proposed
// here, and cleared before a keep-alive is answered. Replica thread only; bounded by
// LeaseKeeperLimits and, for the requests of this member's clients, by what the edge admitted.
#pragma once

#include "store/apply/report.h"
#include "store/lease/lease_clock.h"
#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <absl/container/btree_set.h>
#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace store::replica {

struct LeaseKeeperLimits {
  size_t revokes_per_second = 1000;
  size_t revoke_entries_in_flight = 16;
  size_t ids_per_entry = 64;
  Duration scan_interval = std::chrono::milliseconds(100);
  Duration revoke_retry = std::chrono::seconds(3);
  // Forwarded requests: asked again after `forward_retry`, given up a little before the client's
  // call itself would be (etcd waits for a leader as long).
  Duration forward_retry = std::chrono::milliseconds(500);
  // As long a keep-alive waits for the revoke of its lease.
  Duration forward_patience = std::chrono::seconds(6);
  size_t forward_batch = 1000;
  size_t peer_requests_waiting = 60'000;
  Duration checkpoint_interval{0};  // 0: none
  size_t checkpoints_per_entry = 1000;
};

class LeaseKeeper {
 public:
  LeaseKeeper(const LeaseKeeperLimits& limits, Duration election_timeout, Env& env)
      : limits_(limits),
        election_timeout_(election_timeout),
        env_(env),
        clock_(limits.checkpoint_interval) {}

  void Restore(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds);
  void OnRole(raft::Role role, raft::Raft& raft);
  void OnApplied(const apply::ApplyReport& report);
  // A snapshot took the place of every lease there was.
  void OnInstalled(const SnapshotInstalled& installed);
  void OnRequests(LoopId loop, std::span<const LeaseRequest> requests, raft::Raft& raft);
  void OnGrant(const raft::ReadGrant& grant);
  void OnReadsFailed(raft::ReadId batch);
  // A follower's requests, or the leader's answers.
  void OnPeer(raft::NodeId from, const PeerMessage& message, raft::Raft& raft);
  void OnTick(TimePoint now, raft::Raft& raft);
  void FailAll(ErrorCode code);

 private:
  // Who asked: a loop of this member, or (peer not 0) another member.
  struct Origin {
    LoopId loop;
    raft::NodeId peer;
    friend bool operator==(const Origin&, const Origin&) = default;
  };
  struct Waiting {
    Origin origin;
    LeaseRequest request;
    raft::ReadId batch;
    raft::Index index;  // known once granted
    bool granted = false;
  };
  struct Parked {
    LoopId loop;
    LeaseRequest request;
  };
  struct Forwarded {
    Parked parked;
    raft::NodeId leader;
    TimePoint sent;
  };
  using Ending = std::multimap<LeaseId, Waiting>;
  void SetDeadlines();
  LeaseAnswer Answer(const LeaseRequest& request);
  // Whether the lease's checkpoint, if it has one, is cleared; else it will be.
  bool IsClear(const LeaseRequest& request);
  void ProposeClears(raft::Raft& raft);
  void ProposeCheckpoints(TimePoint now, raft::Raft& raft);
  void ProposeRevokes(TimePoint now, raft::Raft& raft);
  bool Propose(std::span<const lease::LeaseClock::Checkpoint> checkpoints, raft::Raft& raft);
  static LeaseAnswer Refusal(const LeaseRequest& request, ErrorCode code);
  void AnswerReady();
  // Nothing: the lease is ending and the request is kept in `ending_`.
  std::optional<LeaseAnswer> AnswerOrHold(const Waiting& one);
  // These are before all others in `waiting_` again.
  void Rejudge(Ending::iterator first, Ending::iterator last);
  void ForgetEnding(TimePoint now);
  void AnswerWhile(absl::FunctionRef<bool(const Waiting&)> ready,
                   absl::FunctionRef<std::optional<LeaseAnswer>(const Waiting&)> answer);
  void Tell(const Origin& origin, std::vector<LeaseAnswer> answers);
  // This member cannot answer it (any more): a client's request waits for the leader, a member is
  // told to ask again.
  void GiveBack(absl::FunctionRef<bool(const Waiting&)> which);
  // Parked requests go where they can be answered, if that is known.
  void Place(raft::Raft& raft);
  void ForwardTo(raft::NodeId leader);
  void TakeRequests(raft::NodeId from, const PeerLeaseRequest& requests, raft::Raft& raft);
  void TakeAnswers(raft::NodeId from, const PeerLeaseAnswer& answers);
  void Reconsider(TimePoint now, raft::Raft& raft);

  const LeaseKeeperLimits limits_;
  const Duration election_timeout_;
  Env& env_;
  lease::LeaseClock clock_;
  std::deque<Waiting> waiting_;
  Ending ending_;                            // granted keep-alives, by the lease that ends
  size_t peer_waiting_ = 0;                  // of waiting_ and ending_, for other members
  std::deque<Parked> parked_;                // oldest first
  std::map<uint64_t, Forwarded> forwarded_;  // by the tag sent to the leader
  // Leads, but has not applied what former leaders left: until then nothing expires.
  std::optional<raft::Index> settles_at_;
  uint64_t last_tag_ = 0;
  absl::btree_set<LeaseId> to_clear_;  // leases whose keep-alive waits for it
  raft::Index applied_;
  TimePoint next_scan_{};
  size_t revokes_in_flight_ = 0;
};

}  // namespace store::replica
