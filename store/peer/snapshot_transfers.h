// SPDX-License-Identifier: Apache-2.0
// SnapshotTransfers: the files of snapshots, both ways, behind the replica's seam: a
// SnapshotSender, which asks PeerSet where its peer is, and a SnapshotReceiver on the peer port,
// which asks it who may send. SnapshotTransport's methods from any thread after Start. Start by the
// server's thread, before the replica and the peer port; Stop on the loop; then destroy.
#pragma once

#include "store/base/metrics.h"
#include "store/peer/peer_set.h"
#include "store/peer/snapshot_receiver.h"
#include "store/peer/snapshot_sender.h"
#include "store/replica/peer_transport.h"

#include <memory>
#include <vector>

namespace store::peer {

struct SnapshotTransferOptions {
  ClusterId cluster;
  raft::NodeId self;
  engine::Path directory;  // <data-dir>/member
};

class SnapshotTransfers final : public replica::SnapshotTransport {
 public:
  SnapshotTransfers(SnapshotTransferOptions options, rpc::EventLoop& loop,
                    apply::StateMachine& machine, PeerSet& peers, const Logger& log);

  void Start(replica::PeerEvents& events, rpc::MethodTable& methods, Registry& registry);
  void Stop();

  void SendSnapshot(const raft::SnapshotOrder& order) override { sender_->Send(order); }
  void CancelSnapshot(raft::NodeId peer) override { sender_->Cancel(peer); }
  void ReleaseSnapshot(raft::Index index) override { receiver_->Release(index); }

 private:
  void AddMetrics(Registry& registry);

  const SnapshotTransferOptions options_;
  rpc::EventLoop& loop_;
  apply::StateMachine& machine_;
  PeerSet& peers_;
  const Logger log_;
  std::unique_ptr<SnapshotSender> sender_;
  std::unique_ptr<SnapshotReceiver> receiver_;
  std::vector<Registry::CallbackHandle> handles_;
};

}  // namespace store::peer
