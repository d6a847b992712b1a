// SPDX-License-Identifier: Apache-2.0
// Env: what a Replica can make happen. Every call returns at once; results come back later as
// events of the Replica (replica.h). ThreadEnv does it with threads and mailboxes, SimEnv inside
// one simulated loop. Called on the replica's thread only.
#pragma once

#include "store/apply/report.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/cluster/member.h"
#include "store/raft/output.h"
#include "store/raft/types.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace store::replica {

// One encoded command with the call that waits for it.
struct Proposal {
  apply::RequestId id;
  std::string command;
  TimePoint deadline;
};
// What one loop collected in one turn; offered whole, taken or refused whole.
struct ProposalBundle {
  LoopId loop;
  std::vector<Proposal> proposals;
  size_t bytes = 0;
  TimePoint opened{};  // its first command came
  TimePoint posted{};  // on its way to the replica
};

struct LeaseRequest {
  enum class Kind : uint8_t { kKeepAlive, kTimeToLive, kList };
  Kind kind = Kind::kKeepAlive;
  uint64_t tag = 0;  // of the caller, echoed in the answer
  LeaseId id;
  TimePoint arrived;  // a client's TTL counts from here
};
struct LeaseAnswer {
  uint64_t tag = 0;
  ErrorCode error = ErrorCode::kOk;  // kLeaseNotFound, kNotLeader, kNoLeader, kTimeout
  LeaseId id;
  int64_t ttl_seconds = 0;  // keep-alive: granted TTL; time-to-live: remaining, floored
  int64_t granted_seconds = 0;
  // List, by remaining time ascending: one for all that ask in the same turn.
  std::shared_ptr<const std::vector<LeaseId>> leases;
};

// One change of the membership. `change.context` is an encoded MembershipChange
// (store_command.proto), so the result finds its caller at apply.
struct MemberChange {
  enum class Verb : uint8_t { kAdd = 1, kRemove = 2, kPromote = 3 };
  Verb verb = Verb::kAdd;
  raft::ConfChange change;
};
struct LeaderMove {
  raft::NodeId to;
};
// What an administrator asks of the cluster.
struct AdminRequest {
  apply::RequestId id;
  TimePoint deadline;
  std::variant<MemberChange, LeaderMove> what;
};

// A membership change on its way to the leader. Only a refusal is answered; what the leader
// proposes is answered by apply of the member that was asked.
struct PeerMemberChange {
  apply::RequestId id;
  Duration patience{};  // what is left of the caller's deadline: members' clocks differ
  MemberChange what;
};
struct PeerMemberRefusal {
  apply::RequestId id;
  ErrorCode error = ErrorCode::kOk;
};

// What members say to each other that is not raft's: a follower's lease calls and the leader's
// answers, matched by the tags. `arrived` does not travel: a TTL counts from the leader's receipt.
struct PeerLeaseRequest {
  std::vector<LeaseRequest> requests;
};
struct PeerLeaseAnswer {
  std::vector<LeaseAnswer> answers;
};
using PeerMessage =
    std::variant<PeerLeaseRequest, PeerLeaseAnswer, PeerMemberChange, PeerMemberRefusal>;

struct LeaseBoot {
  LeaseId id;
  int64_t ttl_seconds = 0;
  int64_t remaining_seconds = 0;
};

// What becomes of snapshots (snapshots.h). Sending: the checkpoint is made, and it is at `index`;
// the peer has it whole, or it failed. Receiving: complete and verified; installed, with all leases
// of the new state.
struct SnapshotTaken {
  raft::NodeId peer;
  raft::Index index;
};
struct SnapshotSent {
  raft::NodeId peer;
  raft::Index index;
  bool ok = false;
};
struct SnapshotReceived {
  raft::NodeId from;
  raft::Term term;  // of the leader that sent it
  raft::SnapshotMeta meta;
};
struct SnapshotInstalled {
  raft::SnapshotMeta meta;
  Revision current;
  std::vector<LeaseBoot> leases;
  std::shared_ptr<const std::vector<cluster::Member>> members{};
};
using SnapshotEvent =
    std::variant<SnapshotTaken, SnapshotSent, SnapshotReceived, SnapshotInstalled>;

class Env {
 public:
  virtual void Persist(raft::PersistUnit unit) = 0;
  virtual void Apply(std::vector<raft::EntryPtr> entries) = 0;
  virtual void Send(raft::Envelope envelope) = 0;
  // Tickets of that loop up to and including `through` may be served.
  virtual void GrantReads(LoopId loop, uint64_t through) = 0;
  virtual void FailReads(LoopId loop, uint64_t through, ErrorCode code) = 0;
  virtual void FailProposals(LoopId loop, std::span<const apply::RequestId> ids,
                             ErrorCode code) = 0;
  virtual void AnswerLeases(LoopId loop, std::span<const LeaseAnswer> answers) = 0;
  // An AdminRequest ended here: refused, or the leader was moved (kOk).
  virtual void AnswerAdmin(const apply::RequestId& id, ErrorCode code) = 0;
  // One per peer at a time; answered by SnapshotTaken (unless it fails first) and SnapshotSent.
  virtual void SendSnapshot(raft::SnapshotOrder order) = 0;
  // The one under way to that peer may end; SnapshotSent comes all the same.
  virtual void CancelSnapshot(raft::NodeId) {}
  // Of a received one: answered by SnapshotInstalled; or nobody wants it.
  virtual void InstallSnapshot(raft::SnapshotMeta meta) = 0;
  virtual void DropSnapshot(const raft::SnapshotMeta&) {}
  virtual void FetchLog(raft::Fetch fetch) = 0;
  virtual void TruncateLog(raft::Index through, raft::Term term) = 0;
  virtual void SendPeer(raft::NodeId to, PeerMessage message) = 0;
  // Role, leader or term changed: gauges, `no leader` checks, health.
  virtual void OnRole(const raft::RoleChange& change) = 0;
  virtual TimePoint Now() const = 0;
  virtual uint64_t Random() = 0;
  virtual ~Env() = default;
};

}  // namespace store::replica
