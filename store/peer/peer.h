// SPDX-License-Identifier: Apache-2.0
// Peer: one other member: its two links (control and log), each an Exchange stream on a connection
// of its own that the member with the higher id opens. A link is up when both sides have said
// hello; then frames are sent, or wait in the link's queue while the stream is full. What finds the
// link down or the queue full is dropped and told once as unreachable: raft asks again, and stale
// messages are worth nothing. A link that brings nothing for `silence` is made anew; pings see to
// it that a healthy one always brings something, and measure round trip and clock difference.
// Threads: the peer loop. Owned by PeerSet; callbacks of streams hold it weakly. Bounds:
// PeerLimits.
#pragma once

#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/peer/connections.h"
#include "store/peer/peer_codec.h"
#include "store/peer/peer_dialer.h"
#include "store/peer/peer_metrics.h"
#include "store/replica/peer_transport.h"
#include "store/rpc/call.h"
#include "store/rpc/client_call.h"
#include "store/rpc/event_loop.h"

#include <absl/functional/any_invocable.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::peer {

// How a stream is refused over who its opener is; the texts are etcd's where it has one.
inline constexpr std::string_view kRemovedText =
    "the member has been permanently removed from the cluster";

struct PeerLimits {
  size_t log_queue_bytes = 16 << 20;
  size_t control_queue_bytes = 256 << 10;
  Duration ping_interval = std::chrono::seconds(1);
  Duration silence = std::chrono::seconds(5);
  // The other member should have opened its streams by now: it knows why it does not, or must be
  // told where this one is.
  Duration knock_after = std::chrono::seconds(3);
};

// What all peers of a set share; outlives them. Loop only.
struct PeerWorld {
  rpc::EventLoop& loop;
  const Clock& clock;
  Logger log;
  LogEvery quiet;
  Connections connections;
  PeerMetrics metrics;
  ClusterId cluster;
  raft::NodeId self;
  std::string server_version;
  std::vector<std::string> own_urls;  // as applied, for the others
  PeerLimits limits;
  DialOptions dial;
  replica::PeerEvents* events = nullptr;  // from PeerSet::Start on
  absl::AnyInvocable<void()> on_removed;  // a member says that this one was removed; may be empty
};

class Peer final : public std::enable_shared_from_this<Peer> {
 public:
  Peer(PeerWorld& world, raft::NodeId id);
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  raft::NodeId id() const { return id_; }
  // "host:port", as membership names them and as the member itself says. What it says comes first,
  // until membership says the same: one that was away knows addresses only of before the others
  // moved, and who moved is the only one to tell it. Both are tried: a member that has not applied
  // its own move yet says what is out of date.
  void SetAddresses(std::vector<std::string> named);
  void HearAddresses(std::vector<std::string> heard);
  // Dialled if this member has the higher id.
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Sends, queues or drops.
  void Push(const raft::Message& message);
  void Push(const replica::PeerMessage& message);
  // A stream the other member opened, its hello checked. Returns the name its bytes go by.
  uint64_t Accept(ChannelKind kind, rpc::RawCallPtr call);
  void OnBytes(ChannelKind kind, uint64_t stream, const SharedBytes& bytes);
  void OnDrained(ChannelKind kind, uint64_t stream);
  void OnEnded(ChannelKind kind, uint64_t stream, const rpc::RpcStatus& status);
  // Once per ping_interval.
  void Tick(TimePoint now);
  void Stop(const rpc::RpcStatus& why);
  bool active() const { return links_[0].up && links_[1].up; }

 private:
  struct Link {
    ChannelKind kind = ChannelKind::kControl;
    std::unique_ptr<PeerDialer> dialer;  // null: the other member opens
    // The stream, one of the two.
    rpc::ClientCallPtr dialed;
    rpc::RawCallPtr accepted;
    uint64_t stream = 0;  // grows with each
    bool up = false;
    bool writable = true;
    bool loss_told = false;
    TimePoint heard{};
    std::deque<rpc::MessageBody> queue;
    size_t queued_bytes = 0;
    uint64_t ping_sequence = 0;
    TimePoint ping_sent{};
    int64_t ping_wall_micros = 0;

    bool attached() const { return dialed != nullptr || accepted != nullptr; }
  };

  bool dials() const { return world_.self > id_; }
  Link& LinkOf(ChannelKind kind) { return links_[static_cast<size_t>(kind)]; }
  Hello HelloOn(ChannelKind kind) const { return {kind, world_.server_version, world_.own_urls}; }
  FrameHeader Header() const { return {world_.cluster, world_.self, id_}; }
  DialOptions DialOptionsFor(uint64_t salt) const;
  void UseAddresses();
  void OnDialed(ChannelKind kind, const rpc::ClientCallPtr& call);
  void TickKnock(TimePoint now);
  void Knock(const rpc::ClientCallPtr& call);
  void PushBody(ChannelKind kind, const Body& body);
  bool SendNow(Link& link, const rpc::MessageBody& frame);
  void Lose(Link& link);
  void MarkUp(Link& link);
  void Detach(Link& link, const rpc::RpcStatus& why);
  void Handle(Link& link, Body&& body);
  void OnPong(Link& link, const Pong& pong);
  void SendPing(Link& link);
  void TellRefused(const rpc::RpcStatus& status);
  size_t QueueMax(ChannelKind kind) const;

  PeerWorld& world_;
  const raft::NodeId id_;
  PeerCounters counters_;
  std::vector<std::string> named_;
  std::vector<std::string> heard_;
  std::vector<std::string> addresses_;  // of both
  std::array<Link, kChannels> links_;
  std::unique_ptr<PeerDialer> knocker_;
  TimePoint knock_at_{};
  bool knocked_ = false;  // and was answered
};

}  // namespace store::peer
