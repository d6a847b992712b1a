// SPDX-License-Identifier: Apache-2.0
// Replica: everything between the wire and the disk except I/O. One event in, actions out through
// Env. No threads and no clock of its own: production runs it on the replica thread, the simulator
// runs five of them in one loop. After one or more events the host calls Flush, which executes the
// core's output.
//
// The story of a request, and why no queue on its way can grow without bound:
//   A client's call enters an io loop. Its frames are bounded by the HTTP/2 windows, its message by
//   max-request-bytes + 512 KiB. The loop admits it against the member's pending calls (20 000
//   calls or 256 MiB, else "too many requests") and reserves the room of its answer, so no later
//   step can fail to answer. The loop collects what one turn brought into a bundle and offers it to
//   the replica's mailbox, which may refuse it; then the loop keeps it, and it still counts as
//   pending. The replica offers the bundle to raft. Raft refuses it whole while 64 MiB are
//   uncommitted or there is no leader; refused bundles wait here (they are pending calls, already
//   counted) until their deadline. More than 5 000 committed entries that are not applied: "too
//   many requests" (etcd's text). Entries leave raft to the log writer as persist units, to peers
//   within per-peer windows (256 messages, 8 MiB), and to apply within 4 MiB not yet reported. The
//   log window keeps what is not yet durable, applied and matched, at most 64 MiB; slower peers are
//   served from disk. Apply works in batches of 1 MiB or 1 000 entries, hands events to the watch
//   hub (64 MiB, else the hub is told to read the store again) and results to the loops (reserved).
//   A read carries no queue of its own: it is a ticket number in its loop, and a grant is one
//   number.
// Every limit is a field of ReplicaConfig or of the part named, and a gauge.
#pragma once

#include "store/apply/report.h"
#include "store/base/clock.h"
#include "store/raft/raft.h"
#include "store/replica/auto_compaction.h"
#include "store/replica/env.h"
#include "store/replica/lease_keeper.h"
#include "store/replica/log_retention.h"
#include "store/replica/membership.h"
#include "store/replica/proposals.h"
#include "store/replica/reads.h"
#include "store/replica/snapshots.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace store::replica {

struct ReplicaConfig {
  raft::Config raft;
  Duration election_timeout = std::chrono::seconds(1);
  ProposalLimits proposals;
  Duration read_retry = std::chrono::milliseconds(500);
  RetentionLimits retention;
  LeaseKeeperLimits leases;
  SnapshotLimits snapshots;
  AutoCompactionOptions compaction;
  MembershipLimits membership;
};

// What bootstrap found on disk.
struct Boot {
  raft::Restart raft;
  std::vector<LeaseBoot> leases;
  std::shared_ptr<const std::vector<cluster::Member>> members;  // null: none
};

class Replica {
 public:
  Replica(const ReplicaConfig& config, Env& env, Boot boot);

  // First event: asks for a pre-vote at once instead of waiting an election timeout. Harmless in a
  // cluster that has a leader (thesis 9.6), and what makes a restart fast.
  void OnBoot();
  void OnTick(TimePoint now);
  void OnPeerMessage(raft::Envelope envelope);
  void OnProposals(ProposalBundle bundle);
  void OnReadTickets(LoopId loop, uint64_t through);
  void OnPersisted(uint64_t unit);
  void OnApplied(const apply::ApplyReport& report);
  // The state is durable up to here: the log may be cut, also when nothing is applied any more.
  void OnFlushed(raft::Index durable);
  void OnLeaseRequests(LoopId loop, std::span<const LeaseRequest> requests);
  void OnFetched(raft::NodeId peer, raft::Index from, std::vector<raft::EntryPtr> entries);
  void OnUnreachable(raft::NodeId peer);
  // What peers say beside raft's messages.
  void OnPeerOther(raft::NodeId from, const PeerMessage& message);
  void OnSnapshot(SnapshotEvent event);
  // A connection to the peer stands, or does not any more. A host that does not tell lets the
  // peer's messages speak.
  void OnPeerConnection(raft::NodeId peer, bool up);
  // Member changes and leader moves (membership.h).
  void OnAdmin(AdminRequest request);
  // The member is about to stop: leadership goes to another one, if it is here and there is one.
  // False: no.
  bool OnLeave();
  // The member stops: everything that waits fails with kStopped. No events after it.
  void OnStop();

  // Executes all output of the core. Call after each event or batch of events.
  void Flush();

  // For the invariants of the simulator.
  const raft::Raft& raft() const { return raft_; }
  raft::Position position() const { return raft_.position(); }
  raft::Status status() const { return raft_.status(); }
  size_t waiting_proposals() const { return proposals_.size(); }
  size_t forwarded_bytes() const { return proposals_.forwarded_bytes(); }
  const ReadCounts& read_counts() const { return reads_.counts(); }
  const Snapshots& snapshots() const { return snapshots_; }

 private:
  void Execute(raft::Output output);
  void HandleRole(const raft::RoleChange& change);
  void CutLog(raft::Index durable);
  void Handle(const SnapshotTaken& taken);
  void Handle(const SnapshotSent& sent);
  void Handle(const SnapshotReceived& received);
  void Handle(const SnapshotInstalled& installed);

  const ReplicaConfig config_;
  Env& env_;
  raft::Raft raft_;
  Proposals proposals_;
  Reads reads_;
  LeaseKeeper leases_;
  LogRetention retention_;
  Snapshots snapshots_;
  AutoCompaction compaction_;
  Membership membership_;
};

}  // namespace store::replica
