// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer.h"

#include <absl/algorithm/container.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace store::peer {
namespace {

constexpr int64_t kNanosPerMicro = 1000;
constexpr size_t kHeardAddressesMax = 16;
// Beyond it etcd warns too: leases and logs are hard to read then, the protocol does not care.
constexpr int64_t kClockDifferenceMicrosMax = 1'000'000;

std::string Hex(raft::NodeId id) { return fmt::format("{:x}", id); }

// The other member answered and wants no stream of ours.
bool IsRefusal(rpc::GrpcCode code) {
  return code == rpc::GrpcCode::kFailedPrecondition || code == rpc::GrpcCode::kPermissionDenied ||
         code == rpc::GrpcCode::kNotFound || code == rpc::GrpcCode::kUnimplemented ||
         code == rpc::GrpcCode::kInvalidArgument;
}

}  // namespace

Peer::Peer(PeerWorld& world, raft::NodeId id)
    : world_(world), id_(id), counters_(world.metrics.Of(id)) {
  links_[0].kind = ChannelKind::kControl;
  links_[1].kind = ChannelKind::kLog;
  knock_at_ = world_.clock.Now() + world_.limits.knock_after;
}

void Peer::SetAddresses(std::vector<std::string> named) {
  named_ = std::move(named);
  UseAddresses();
}

void Peer::HearAddresses(std::vector<std::string> heard) {
  if (heard.empty()) return;
  heard_ = std::move(heard);
  if (heard_.size() > kHeardAddressesMax) heard_.resize(kHeardAddressesMax);
  UseAddresses();
}

void Peer::UseAddresses() {
  auto is_named = [this](const std::string& one) { return absl::c_linear_search(named_, one); };
  if (absl::c_all_of(heard_, is_named)) heard_.clear();
  std::vector<std::string> all = heard_;
  for (const std::string& one : named_) {
    if (!absl::c_linear_search(heard_, one)) all.push_back(one);
  }
  if (all == addresses_) return;
  addresses_ = std::move(all);
  if (knocker_) knocker_->SetAddresses(addresses_);
  if (!dials()) return;
  for (Link& link : links_) {
    if (!link.dialer) {
      link.dialer = std::make_unique<PeerDialer>(
          world_.loop, DialOptionsFor(static_cast<uint64_t>(link.kind)),
          [this, kind = link.kind](const rpc::ClientCallPtr& call) { OnDialed(kind, call); });
    }
    link.dialer->SetAddresses(addresses_);
  }
}

DialOptions Peer::DialOptionsFor(uint64_t salt) const {
  DialOptions options = world_.dial;
  options.seed += id_.value() * kChannels + salt;
  return options;
}

void Peer::OnDialed(ChannelKind kind, const rpc::ClientCallPtr& call) {
  Link& link = LinkOf(kind);
  uint64_t stream = ++link.stream;
  link.dialed = call;
  link.heard = world_.clock.Now();
  std::weak_ptr<Peer> weak = weak_from_this();
  call->OnMessage([weak, kind, stream](const SharedBytes& bytes) {
    if (auto self = weak.lock()) self->OnBytes(kind, stream, bytes);
  });
  call->OnDrained([weak, kind, stream] {
    if (auto self = weak.lock()) self->OnDrained(kind, stream);
  });
  call->OnFinish([weak, kind, stream](const rpc::RpcStatus& status) {
    if (auto self = weak.lock()) self->OnEnded(kind, stream, status);
  });
  call->Send(EncodeFrame(Header(), HelloOn(kind)));
}

uint64_t Peer::Accept(ChannelKind kind, rpc::RawCallPtr call) {
  Link& link = LinkOf(kind);
  // The other member knows better than we whether the old one still works.
  Detach(link, {rpc::GrpcCode::kAborted, "another stream took its place"});
  uint64_t stream = ++link.stream;
  link.accepted = std::move(call);
  link.heard = world_.clock.Now();
  SendNow(link, EncodeFrame(Header(), HelloOn(kind)));
  MarkUp(link);
  return stream;
}

void Peer::Push(const raft::Message& message) { PushBody(ChannelOf(message), message); }

void Peer::Push(const replica::PeerMessage& message) { PushBody(ChannelKind::kControl, message); }

void Peer::PushBody(ChannelKind kind, const Body& body) {
  Link& link = LinkOf(kind);
  if (!link.up) return Lose(link);
  rpc::MessageBody frame = EncodeFrame(Header(), body);
  if (link.writable) {
    link.writable = SendNow(link, frame);
    return;
  }
  // One frame always fits: it is as large as the core makes it.
  if (!link.queue.empty() && link.queued_bytes + frame.size() > QueueMax(kind)) return Lose(link);
  link.queued_bytes += frame.size();
  counters_.queued_bytes.Add(static_cast<int64_t>(frame.size()));
  link.queue.push_back(std::move(frame));
}

bool Peer::SendNow(Link& link, const rpc::MessageBody& frame) {
  counters_.sent_bytes.Add(frame.size());
  return link.dialed ? link.dialed->Send(frame) : link.accepted->Send(frame);
}

size_t Peer::QueueMax(ChannelKind kind) const {
  return kind == ChannelKind::kLog ? world_.limits.log_queue_bytes
                                   : world_.limits.control_queue_bytes;
}

// Told once until the link works again: the core needs to know that something was lost, not what.
void Peer::Lose(Link& link) {
  counters_.sent_failures.Add();
  if (std::exchange(link.loss_told, true)) return;
  world_.events->OnUnreachable(id_);
}

void Peer::OnDrained(ChannelKind kind, uint64_t stream) {
  Link& link = LinkOf(kind);
  if (stream != link.stream || !link.up) return;
  link.writable = true;
  while (link.writable && !link.queue.empty()) {
    rpc::MessageBody frame = std::move(link.queue.front());
    link.queue.pop_front();
    link.queued_bytes -= frame.size();
    counters_.queued_bytes.Sub(static_cast<int64_t>(frame.size()));
    link.writable = SendNow(link, frame);
  }
  if (link.queue.empty()) link.loss_told = false;
}

void Peer::MarkUp(Link& link) {
  link.up = true;
  link.writable = true;
  link.loss_told = false;
  if (!active()) return;
  world_.connections.Set(id_, world_.clock.Now());
  counters_.active.Set(1);
  world_.events->OnConnection(id_, true);
  world_.log.Info("peer became active", {{"peer-id", Hex(id_)}});
}

void Peer::Detach(Link& link, const rpc::RpcStatus& why) {
  bool was_active = active();
  bool was_up = std::exchange(link.up, false);
  ++link.stream;  // what still comes of the old one is not ours
  if (auto dialed = std::exchange(link.dialed, nullptr)) dialed->Cancel();
  if (auto accepted = std::exchange(link.accepted, nullptr)) accepted->Finish(why);
  counters_.queued_bytes.Sub(static_cast<int64_t>(std::exchange(link.queued_bytes, 0)));
  link.queue.clear();
  if (!was_up) return;
  if (was_active) {
    world_.connections.Set(id_, std::nullopt);
    world_.events->OnConnection(id_, false);
    counters_.active.Set(0);
    counters_.disconnects.Add();
    world_.log.Warn("peer became inactive (message send to peer failed)",
                    {{"peer-id", Hex(id_)}, {"error", why.message}});
  }
  if (!std::exchange(link.loss_told, true)) world_.events->OnUnreachable(id_);
}

void Peer::OnEnded(ChannelKind kind, uint64_t stream, const rpc::RpcStatus& status) {
  Link& link = LinkOf(kind);
  bool refused = IsRefusal(status.code);
  if (link.dialer) link.dialer->OnEnded(refused);
  if (refused) TellRefused(status);
  if (stream == link.stream) Detach(link, status);
}

void Peer::TellRefused(const rpc::RpcStatus& status) {
  if (auto suppressed = world_.quiet.Due("refused-by/" + Hex(id_))) {
    world_.log.Warn(
        "a peer refused this member",
        {{"peer-id", Hex(id_)}, {"error", status.message}, {"suppressed", *suppressed}});
  }
  if (status.code == rpc::GrpcCode::kPermissionDenied && world_.on_removed) world_.on_removed();
}

void Peer::OnBytes(ChannelKind kind, uint64_t stream, const SharedBytes& bytes) {
  Link& link = LinkOf(kind);
  if (stream != link.stream) return;
  link.heard = world_.clock.Now();
  counters_.received_bytes.Add(bytes.size());
  auto frame = DecodeFrame(bytes);
  if (!frame) {
    counters_.received_failures.Add();
    if (auto suppressed = world_.quiet.Due("malformed/" + Hex(id_))) {
      world_.log.Warn("a peer's stream is ended over what it sent",
                      {{"peer-id", Hex(id_)}, frame.error(), {"suppressed", *suppressed}});
    }
    return Detach(link, {rpc::GrpcCode::kInvalidArgument, frame.error().message()});
  }
  if (frame->header != FrameHeader{world_.cluster, id_, world_.self}) {
    counters_.received_failures.Add();
    return Detach(link,
                  {rpc::GrpcCode::kInvalidArgument, "the header of a frame is not its stream's"});
  }
  Handle(link, std::move(frame->body));
}

void Peer::Handle(Link& link, Body&& body) {
  if (const auto* hello = std::get_if<Hello>(&body)) {
    if (!link.up && hello->channel == link.kind) MarkUp(link);
    return;
  }
  if (!link.up) {
    return Detach(link, {rpc::GrpcCode::kInvalidArgument, "the first frame is not a hello"});
  }
  if (const auto* ping = std::get_if<Ping>(&body)) {
    Pong pong{ping->sequence, world_.clock.WallMicros() * kNanosPerMicro};
    PushBody(link.kind, pong);
  } else if (const auto* pong = std::get_if<Pong>(&body)) {
    OnPong(link, *pong);
  } else if (auto* message = std::get_if<raft::Message>(&body)) {
    world_.events->OnPeerMessage({id_, world_.self, std::move(*message)});
  } else {
    world_.events->OnPeerOther(id_, std::move(std::get<replica::PeerMessage>(body)));
  }
}

void Peer::SendPing(Link& link) {
  link.ping_sent = world_.clock.Now();
  link.ping_wall_micros = world_.clock.WallMicros();
  PushBody(link.kind, Ping{++link.ping_sequence, link.ping_wall_micros * kNanosPerMicro});
}

void Peer::OnPong(Link& link, const Pong& pong) {
  if (pong.sequence != link.ping_sequence) return;
  Duration round_trip = world_.clock.Now() - link.ping_sent;
  counters_.round_trip.Observe(std::chrono::duration<double>(round_trip).count());
  if (link.kind != ChannelKind::kControl) return;
  int64_t halfway = link.ping_wall_micros +
                    std::chrono::duration_cast<std::chrono::microseconds>(round_trip / 2).count();
  int64_t ahead = pong.received_unix_ns / kNanosPerMicro - halfway;
  counters_.clock_difference_ms.Set(ahead / 1000);
  bool high = ahead > kClockDifferenceMicrosMax || ahead < -kClockDifferenceMicrosMax;
  if (!high) return;
  if (auto suppressed = world_.quiet.Due("clock/" + Hex(id_))) {
    world_.log.Warn("prober found high clock drift",
                    {{"remote-peer-id", Hex(id_)},
                     {"clock-drift", std::chrono::microseconds(ahead)},
                     {"suppressed", *suppressed}});
  }
}

// A member that was removed while it was down is not dialled by anybody: it has to ask. Nor is one
// that moved while the other was down: it has to say where it is.
void Peer::TickKnock(TimePoint now) {
  if (dials()) return;
  if (active() || knocked_) knocker_.reset();
  knocked_ = false;
  if (active()) knock_at_ = now + world_.limits.knock_after;
  if (now < knock_at_ || knocker_) return;
  knock_at_ = now + world_.limits.knock_after;
  knocker_ = std::make_unique<PeerDialer>(world_.loop, DialOptionsFor(kChannels),
                                          [this](const rpc::ClientCallPtr& call) { Knock(call); });
  knocker_->SetAddresses(addresses_);
}

void Peer::Knock(const rpc::ClientCallPtr& call) {
  call->OnFinish([weak = weak_from_this()](const rpc::RpcStatus& status) {
    auto self = weak.lock();
    if (!self) return;
    self->knocked_ = true;
    if (status.code == rpc::GrpcCode::kPermissionDenied) self->TellRefused(status);
  });
  call->Send(EncodeFrame(Header(), HelloOn(ChannelKind::kControl)));
}

void Peer::Tick(TimePoint now) {
  TickKnock(now);
  for (Link& link : links_) {
    if (!link.attached()) continue;
    if (link.heard + world_.limits.silence <= now) {
      Detach(link, {rpc::GrpcCode::kDeadlineExceeded, "nothing came from the peer for too long"});
      if (link.dialer) link.dialer->Redial();
    } else if (link.up) {
      SendPing(link);
    }
  }
}

void Peer::Stop(const rpc::RpcStatus& why) {
  for (Link& link : links_) {
    Detach(link, why);
    link.dialer.reset();
  }
  knocker_.reset();
}

}  // namespace store::peer
