// SPDX-License-Identifier: Apache-2.0
// Membership: the administration of the cluster on its way into raft: add, remove, promote, move
// the leader. A change of the membership is checked and proposed by the leader only, because it
// alone sees who is connected and how far a learner is; a follower passes it on. What membership
// refuses is answered at once; what is proposed is answered by apply of the member that was asked,
// where it is decided again. Changes wait here while another one is not applied (raft takes one at
// a time), while there is no leader, and while leadership is handed over; until their deadline.
//
// The checks are etcd's strict reconfiguration (voters, those with a name are "started"):
//   add voter   started ≥ quorum of one more, but a second member may always join a single one;
//               add of any kind: healthy voters ≥ quorum of one more, unless there is one voter
//   remove      of a learner: none. Started among the others ≥ their quorum; unless the removed one
//               is away: healthy voters - 1 ≥ quorum of the others
//   promote     the learner holds 90 % of the leader's log; started + 1 ≥ quorum of one more
// Healthy: connected for 5 s, and heard from by a leader within an election timeout.
//
// A leader that stops hands leadership over, so that nobody has to wait for an election timeout.
// A leader that is to be removed hands leadership over first: its successor can commit the removal
// with everybody else, whereas a leader of two that commits its own removal alone would leave the
// other one without a way to learn that (store/raft/README.md).
//
// Replica thread only. Bounded: `waiting_max` requests, one row per member.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/cluster/member.h"
#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace store::replica {

struct MembershipLimits {
  bool strict = true;  // --strict-reconfig-check
  size_t waiting_max = 64;
  Duration healthy_after = std::chrono::seconds(5);
  int ready_percent = 90;  // of the leader's log, before a learner may be promoted
};

class Membership {
 public:
  using Members = std::vector<cluster::Member>;

  Membership(const MembershipLimits& limits, raft::NodeId self, Duration election_timeout,
             std::shared_ptr<const Members> members, Env& env);

  void OnRequest(AdminRequest request, raft::Raft& raft);
  void OnPeerChange(const PeerMemberChange& change, raft::Raft& raft);
  void OnPeerRefusal(const PeerMemberRefusal& refusal);
  // A connection to the peer stands, or does not any more.
  void OnConnection(raft::NodeId peer, bool up);
  void OnHeard(raft::NodeId peer);
  void OnRole(const raft::RoleChange& role, raft::Raft& raft);
  // After raft was told the changes of the report.
  void OnApplied(const apply::ApplyReport& report, raft::Raft& raft) {
    OnMembers(report.members, raft);
  }
  // Null: as before.
  void OnMembers(const std::shared_ptr<const Members>& members, raft::Raft& raft);
  void OnTick(TimePoint now, raft::Raft& raft);
  // This member is about to stop: true when leadership is on its way to another one.
  bool OnLeave(raft::Raft& raft);
  void FailAll(ErrorCode code);

  size_t waiting() const { return changes_.size() + moves_.size(); }

 private:
  struct Peer {
    std::optional<TimePoint> up;  // since when it is connected
    TimePoint heard{};
  };
  struct Change {
    apply::RequestId id;
    TimePoint deadline;
    MemberChange what;
  };
  struct Move {
    apply::RequestId id;
    TimePoint deadline;
    raft::NodeId to;
  };
  enum class Step : uint8_t { kWait, kDone };

  void Enqueue(Change change, raft::Raft& raft);
  void Advance(raft::Raft& raft);
  Step Try(const Change& change, const raft::Position& position, raft::Raft& raft);
  Step Propose(const Change& change, raft::Raft& raft);
  // To one of those that `fit` (raft::HeirOf); false: there is none.
  bool HandOver(absl::FunctionRef<bool(raft::NodeId)> fits, raft::Raft& raft);
  void Refuse(const apply::RequestId& id, ErrorCode code);
  void AnswerMoves(raft::NodeId leader);

  ErrorCode Check(const MemberChange& what, const raft::Status& status) const;
  ErrorCode CheckAdd(bool learner) const;
  ErrorCode CheckRemove(raft::NodeId node) const;
  ErrorCode CheckPromote(raft::NodeId node, const raft::Status& status) const;

  const cluster::Member* Find(raft::NodeId id) const;
  size_t Voters() const;
  // Voters with a name, without `except`.
  size_t Started(raft::NodeId except = {}) const;
  size_t HealthyVoters() const;
  bool Connected(raft::NodeId id) const;
  bool Silent(raft::NodeId id) const;
  bool Healthy(raft::NodeId id) const;

  const MembershipLimits limits_;
  const raft::NodeId self_;
  const Duration election_timeout_;
  Env& env_;
  std::shared_ptr<const Members> members_;
  std::map<raft::NodeId, Peer> peers_;
  std::deque<Change> changes_;
  std::vector<Move> moves_;
  raft::RoleChange role_;
  TimePoint role_since_{};
  // Leadership is handed over for a removal of this member: until the role changes, or it is time
  // to try again.
  std::optional<TimePoint> handing_over_;
};

}  // namespace store::replica
