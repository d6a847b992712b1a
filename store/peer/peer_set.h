// SPDX-License-Identifier: Apache-2.0
// PeerSet: the transport to the other members: one Peer for each member of the cluster but this
// one, and the mailbox through which the replica and the log writer hand over what they send. Who
// is a member follows membership as applied; removed members are remembered, so that they can be
// told. Threads: Start and Stop by the server's thread, PeerTransport's methods by any, the rest on
// the peer loop. The loop and everything given outlive it. Bounds: the mailbox (items and bytes),
// beyond it messages are dropped and told as unreachable; per peer, PeerLimits; 16 strangers.
//
// Seams: snapshots have a transport of their own (snapshot_transfers.h), whose receiving side asks
// CheckSender, as PeerService does. TLS takes place in rpc's ByteStream:
// dialing goes through DialOptions, accepting through the rpc::Server of the peer port.
#pragma once

#include "store/base/mailbox.h"
#include "store/base/metrics.h"
#include "store/peer/peer.h"
#include "store/replica/peer_transport.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace store::peer {

struct PeerSetOptions {
  ClusterId cluster;
  raft::NodeId self;
  std::string server_version;
  PeerLimits limits;
  MailboxLimits mailbox{50'000, 64 << 20};
  DialOptions dial;
};

// The transport's limits for connections between members: windows for a full pipeline, frames as
// large as the largest request and a bundle around it.
rpc::Limits PeerTransportLimits(uint64_t request_bytes_max);

class PeerSet final : public replica::PeerTransport {
 public:
  PeerSet(rpc::EventLoop& loop, const Clock& clock, Logger log, Registry& registry,
          PeerSetOptions options);
  ~PeerSet() override;

  // Before Start.
  // Another member says that this one was removed. Called on the loop, perhaps more than once.
  void OnRemoved(absl::AnyInvocable<void()> action) { world_.on_removed = std::move(action); }
  void Start(replica::PeerEvents& events);
  // Ends all streams. The loop must run; nothing is sent afterwards. Idempotent.
  void Stop();

  void Send(raft::Envelope envelope) override;
  void SendPeer(raft::NodeId to, replica::PeerMessage message) override;
  void SetMembers(std::shared_ptr<const cluster::MemberList> members,
                  std::shared_ptr<const cluster::RemovedList> removed) override;

  // On the loop.
  // One of this cluster that the applied membership does not name, and has not removed, is taken
  // for a member that was added later: this one may be so far behind that only such a one can tell
  // it.
  void MeetStranger(const FrameHeader& header, const Hello& hello);
  // A member that CheckSender lets speak says where it is reached.
  void HearAddresses(raft::NodeId from, const Hello& hello);
  // Whether what `header` says fits this member; else how to refuse, which is logged once a minute.
  std::optional<rpc::RpcStatus> CheckSender(const FrameHeader& header, std::string_view address);
  std::shared_ptr<Peer> Find(raft::NodeId id) const;
  const PeerWorld& world() const { return world_; }
  // Any thread.
  const Connections& connections() const { return world_.connections; }

  // Messages that found no room on their way to the loop.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Other {
    raft::NodeId to;
    replica::PeerMessage message;
  };
  struct Members {
    std::shared_ptr<const cluster::MemberList> members;
    std::shared_ptr<const cluster::RemovedList> removed;
  };
  using Outgoing = std::variant<raft::Envelope, Other, Members>;

  void Post(Outgoing outgoing, raft::NodeId to, size_t bytes);
  void Drain();
  void Handle(const raft::Envelope& envelope);
  void Handle(const Other& other);
  void Handle(const Members& members);
  std::vector<std::string> AddressesOf(raft::NodeId id, const std::vector<std::string>& peer_urls);
  void Tick();
  void EndStreams();

  PeerWorld world_;
  Mailbox<Outgoing> mailbox_;
  std::atomic<uint64_t> dropped_ = 0;
  bool started_ = false;

  // Loop.
  std::vector<Outgoing> batch_;
  std::map<raft::NodeId, std::shared_ptr<Peer>> peers_;
  std::shared_ptr<const cluster::RemovedList> removed_;
  std::set<raft::NodeId> strangers_;  // in peers_, until membership names or removes them
  std::optional<Executor::TimerId> timer_;
  bool stopped_ = false;
};

}  // namespace store::peer
