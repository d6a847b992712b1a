// SPDX-License-Identifier: Apache-2.0
// The seam between a replica and the other members, from both sides. PeerTransport is what
// ThreadEnv asks of it; PeerEvents is what it tells. Every method of both returns at once and may
// be called by any thread (the log writer releases messages itself). A message may be lost, never
// changed, and those of one channel to one member arrive in order; whoever needs an answer asks
// again. SnapshotTransport moves the files of snapshots. Bounds: the transport's queues, and
// PeerEvents refuses what the replica's mailbox has no room for. Implementations: peer::PeerSet,
// peer::SnapshotTransfers; tests have their own. The simulator stands on Env instead.
#pragma once

#include "store/cluster/cluster_table.h"
#include "store/raft/message.h"
#include "store/raft/output.h"
#include "store/replica/env.h"

#include <cstddef>
#include <memory>

namespace store::replica {

// About what a message keeps in memory, for the bounds on its way.
size_t CostOf(const raft::Message& message);
size_t CostOf(const PeerMessage& message);

class PeerEvents {
 public:
  virtual void OnPeerMessage(raft::Envelope envelope) = 0;
  virtual void OnPeerOther(raft::NodeId from, PeerMessage message) = 0;
  // That member can be spoken to, or not any more.
  virtual void OnConnection(raft::NodeId peer, bool up) = 0;
  // Something on its way to that member was lost: its queue was full or its connection broke.
  virtual void OnUnreachable(raft::NodeId peer) = 0;
  // What became of a snapshot on its way through a SnapshotTransport.
  virtual void OnSnapshot(SnapshotEvent event) = 0;
  virtual ~PeerEvents() = default;
};

class PeerTransport {
 public:
  virtual void Send(raft::Envelope envelope) = 0;
  virtual void SendPeer(raft::NodeId to, PeerMessage message) = 0;
  // Who belongs to the cluster, as applied here; in the order of the calls with Send. Unknown and
  // removed members are not spoken to. Neither is null.
  virtual void SetMembers(std::shared_ptr<const cluster::MemberList> members,
                          std::shared_ptr<const cluster::RemovedList> removed) = 0;
  virtual ~PeerTransport() = default;
};

// The files of snapshots; messages about them are raft's. Answered by PeerEvents::OnSnapshot as
// env.h says.
class SnapshotTransport {
 public:
  virtual void SendSnapshot(const raft::SnapshotOrder& order) = 0;
  virtual void CancelSnapshot(raft::NodeId peer) = 0;
  // The received one at `index` was installed, or nobody wants it.
  virtual void ReleaseSnapshot(raft::Index index) = 0;
  virtual ~SnapshotTransport() = default;
};

}  // namespace store::replica
