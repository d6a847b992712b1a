// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_service.h"

#include <peer.pb.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace store::peer {
namespace {

// The answer to a knock (peer.h).
constexpr std::string_view kKnockedText = "the member with the higher id opens the streams";

// One accepted stream. Held by its call's callbacks, which the call drops when it is over.
class Incoming : public std::enable_shared_from_this<Incoming> {
 public:
  Incoming(PeerSet& peers, rpc::RawCallPtr call) : peers_(peers), call_(std::move(call)) {}

  void Begin() {
    auto self = shared_from_this();
    call_->OnMessage([self](const SharedBytes& bytes) { self->OnBytes(bytes); });
    call_->OnDrained([self] {
      if (auto peer = self->peer_.lock()) peer->OnDrained(self->kind_, self->stream_);
    });
    call_->OnCancel([self] { self->OnEnd({rpc::GrpcCode::kUnavailable, "the stream was cut"}); });
    call_->OnHalfClose([self] {
      self->OnEnd({rpc::GrpcCode::kUnavailable, "the peer ended the stream"});
      self->call_->Finish({});
    });
    const PeerWorld& world = peers_.world();
    world.loop.After(world.limits.silence, [weak = weak_from_this()] {
      auto waiting = weak.lock();
      if (!waiting || waiting->accepted_) return;
      waiting->call_->Finish({rpc::GrpcCode::kDeadlineExceeded, "no hello came"});
    });
  }

 private:
  void OnBytes(const SharedBytes& bytes) {
    if (!accepted_) return Accept(bytes);
    if (auto peer = peer_.lock()) peer->OnBytes(kind_, stream_, bytes);
  }

  void Accept(const SharedBytes& bytes) {
    auto frame = DecodeFrame(bytes);
    if (!frame) return call_->Finish({rpc::GrpcCode::kInvalidArgument, frame.error().message()});
    const auto* hello = std::get_if<Hello>(&frame->body);
    if (hello != nullptr) peers_.MeetStranger(frame->header, *hello);
    if (auto refused = peers_.CheckSender(frame->header, call_->info().peer->address)) {
      return call_->Finish(std::move(*refused));
    }
    if (hello == nullptr) {
      return call_->Finish({rpc::GrpcCode::kInvalidArgument, "the first frame is not a hello"});
    }
    peers_.HearAddresses(frame->header.from, *hello);
    if (frame->header.from < frame->header.to) {
      return call_->Finish({rpc::GrpcCode::kFailedPrecondition, std::string(kKnockedText)});
    }
    std::shared_ptr<Peer> peer = peers_.Find(frame->header.from);
    accepted_ = true;
    peer_ = peer;
    kind_ = hello->channel;
    stream_ = peer->Accept(kind_, call_);
  }

  void OnEnd(const rpc::RpcStatus& status) {
    if (auto peer = peer_.lock()) peer->OnEnded(kind_, stream_, status);
  }

  PeerSet& peers_;
  const rpc::RawCallPtr call_;
  bool accepted_ = false;
  std::weak_ptr<Peer> peer_;
  ChannelKind kind_ = ChannelKind::kControl;
  uint64_t stream_ = 0;
};

}  // namespace

void PeerService::Register(rpc::MethodTable& table) const {
  table.AddStream<sluice::peer::Frame, sluice::peer::Frame>(
      kExchangePath, [this](const rpc::Stream<sluice::peer::Frame, sluice::peer::Frame>& stream) {
        std::make_shared<Incoming>(peers_, stream.raw())->Begin();
      });
}

}  // namespace store::peer
