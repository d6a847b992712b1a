// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_set.h"

#include "store/base/check.h"
#include "store/base/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <set>
#include <utility>

namespace store::peer {
namespace {

constexpr size_t kStrangersMax = 16;

std::string Hex(raft::NodeId id) { return fmt::format("{:x}", id); }

}  // namespace

rpc::Limits PeerTransportLimits(uint64_t request_bytes_max) {
  constexpr uint64_t kFrameBytesMin = 16 << 20;
  rpc::Limits limits;
  limits.message_bytes_max = std::max<uint64_t>(kFrameBytesMin, 2 * request_bytes_max);
  limits.stream_window = 16 << 20;
  limits.connection_window = 32 << 20;
  limits.input_bytes_max = std::max<size_t>(limits.input_bytes_max, 2 * limits.message_bytes_max);
  return limits;
}

PeerSet::PeerSet(rpc::EventLoop& loop, const Clock& clock, Logger log, Registry& registry,
                 PeerSetOptions options)
    : world_{.loop = loop,
             .clock = clock,
             .log = std::move(log),
             .quiet = LogEvery(clock),
             .connections = Connections(options.self),
             .metrics = PeerMetrics(registry, options.self),
             .cluster = options.cluster,
             .self = options.self,
             .server_version = std::move(options.server_version),
             .own_urls = {},
             .limits = options.limits,
             .dial = options.dial,
             .events = nullptr,
             .on_removed = {}},
      mailbox_(options.mailbox, [this] { world_.loop.Post([this] { Drain(); }); }),
      removed_(std::make_shared<const cluster::RemovedList>()) {}

PeerSet::~PeerSet() { Stop(); }

void PeerSet::Start(replica::PeerEvents& events) {
  CHECK(!started_);
  started_ = true;
  world_.events = &events;
  world_.loop.Post([this] { Tick(); });
}

void PeerSet::Stop() {
  if (!started_) return;
  started_ = false;
  // No wake after this one, whose action is then the last but ours.
  mailbox_.Close();
  std::promise<void> done;
  world_.loop.Post([this, &done] {
    EndStreams();
    done.set_value();
  });
  done.get_future().wait();
}

void PeerSet::EndStreams() {
  stopped_ = true;
  if (timer_) world_.loop.Cancel(*timer_);
  for (auto& [id, peer] : peers_) {
    peer->Stop({rpc::GrpcCode::kUnavailable, "the member stops"});
  }
  peers_.clear();
}

void PeerSet::Send(raft::Envelope envelope) {
  raft::NodeId to = envelope.to;
  size_t bytes = replica::CostOf(envelope.message);
  Post(std::move(envelope), to, bytes);
}

void PeerSet::SendPeer(raft::NodeId to, replica::PeerMessage message) {
  size_t bytes = replica::CostOf(message);
  Post(Other{to, std::move(message)}, to, bytes);
}

// Bounded: one per peer until it is answered.
// Bounded: one per change of the membership.
void PeerSet::SetMembers(std::shared_ptr<const cluster::MemberList> members,
                         std::shared_ptr<const cluster::RemovedList> removed) {
  mailbox_.PostReserved(Members{std::move(members), std::move(removed)});
}

void PeerSet::Post(Outgoing outgoing, raft::NodeId to, size_t bytes) {
  if (mailbox_.TryPost(std::move(outgoing), bytes)) return;
  dropped_.fetch_add(1, std::memory_order_relaxed);
  if (!mailbox_.closed()) world_.events->OnUnreachable(to);
}

void PeerSet::Drain() {
  batch_.clear();
  mailbox_.Drain(&batch_);
  if (stopped_) return;
  for (Outgoing& outgoing : batch_) {
    std::visit([this](auto& one) { Handle(one); }, outgoing);
  }
  batch_.clear();
}

// To one that is no member (any more): nobody waits for it.
void PeerSet::Handle(const raft::Envelope& envelope) {
  if (auto found = peers_.find(envelope.to); found != peers_.end()) {
    found->second->Push(envelope.message);
  }
}

void PeerSet::Handle(const Other& other) {
  if (auto found = peers_.find(other.to); found != peers_.end()) {
    found->second->Push(other.message);
  }
}

void PeerSet::Handle(const Members& members) {
  removed_ = members.removed;
  world_.connections.SetMembers(*members.members);
  std::set<raft::NodeId> present;
  for (const cluster::Member& member : *members.members) {
    if (member.id == world_.self) {
      world_.own_urls = member.peer_urls;
      continue;
    }
    present.insert(member.id);
    strangers_.erase(member.id);
    std::shared_ptr<Peer>& peer = peers_[member.id];
    if (!peer) peer = std::make_shared<Peer>(world_, member.id);
    peer->SetAddresses(AddressesOf(member.id, member.peer_urls));
  }
  for (raft::NodeId gone : *removed_) strangers_.erase(gone);
  present.insert(strangers_.begin(), strangers_.end());
  std::erase_if(peers_, [&](const auto& row) {
    if (present.contains(row.first)) return false;
    row.second->Stop({rpc::GrpcCode::kPermissionDenied, std::string(kRemovedText)});
    return true;
  });
}

std::vector<std::string> PeerSet::AddressesOf(raft::NodeId id,
                                              const std::vector<std::string>& peer_urls) {
  std::vector<std::string> addresses;
  for (const std::string& text : peer_urls) {
    auto url = ParseUrl(text);
    if (url && !url->tls()) {
      addresses.push_back(url->Address());
    } else if (auto suppressed = world_.quiet.Due("url/" + text)) {
      world_.log.Error("a peer URL cannot be used: TLS is not supported yet, use http",
                       {{"peer-id", Hex(id)}, {"url", text}, {"suppressed", *suppressed}});
    }
  }
  return addresses;
}

std::shared_ptr<Peer> PeerSet::Find(raft::NodeId id) const {
  auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second;
}

void PeerSet::MeetStranger(const FrameHeader& header, const Hello& hello) {
  bool fits = header.protocol == kProtocol && header.cluster == world_.cluster &&
              header.to == world_.self && header.from != world_.self && !hello.peer_urls.empty();
  bool removed = std::binary_search(removed_->begin(), removed_->end(), header.from);
  if (!fits || removed || stopped_ || peers_.contains(header.from)) return;
  if (strangers_.size() >= kStrangersMax) return;
  strangers_.insert(header.from);
  std::shared_ptr<Peer>& peer = peers_[header.from];
  peer = std::make_shared<Peer>(world_, header.from);
  world_.log.Info("a member speaks that was added after all that is applied here",
                  {{"peer-id", Hex(header.from)}});
}

void PeerSet::HearAddresses(raft::NodeId from, const Hello& hello) {
  if (auto peer = Find(from)) peer->HearAddresses(AddressesOf(from, hello.peer_urls));
}

std::optional<rpc::RpcStatus> PeerSet::CheckSender(const FrameHeader& header,
                                                   std::string_view address) {
  rpc::RpcStatus status;
  if (header.protocol != kProtocol) {
    status = {rpc::GrpcCode::kUnimplemented,
              fmt::format("protocol {} is not spoken here, only {}", header.protocol, kProtocol)};
  } else if (header.cluster != world_.cluster) {
    status = {rpc::GrpcCode::kFailedPrecondition, "cluster ID mismatch"};
  } else if (std::binary_search(removed_->begin(), removed_->end(), header.from)) {
    status = {rpc::GrpcCode::kPermissionDenied, std::string(kRemovedText)};
  } else if (header.to != world_.self) {
    status = {rpc::GrpcCode::kFailedPrecondition,
              fmt::format("this is member {:x}, not {:x}", world_.self, header.to)};
  } else if (!peers_.contains(header.from)) {
    status = {rpc::GrpcCode::kNotFound, fmt::format("member {:x} is not known", header.from)};
  } else {
    return std::nullopt;
  }
  world_.metrics.refused().Add();
  if (auto suppressed = world_.quiet.Due("refused/" + Hex(header.from))) {
    bool foreign = header.cluster != world_.cluster;
    world_.log.Warn(foreign ? "request cluster ID mismatch" : "refused a stream of a peer",
                    {{"remote-address", address},
                     {"remote-peer-id", Hex(header.from)},
                     {"remote-peer-cluster-id", fmt::format("{:x}", header.cluster)},
                     {"local-member-cluster-id", fmt::format("{:x}", world_.cluster)},
                     {"error", status.message},
                     {"suppressed", *suppressed}});
  }
  return status;
}

void PeerSet::Tick() {
  if (stopped_) return;
  TimePoint now = world_.clock.Now();
  for (auto& [id, peer] : peers_) peer->Tick(now);
  timer_ = world_.loop.After(world_.limits.ping_interval, [this] { Tick(); });
}

}  // namespace store::peer
