// SPDX-License-Identifier: Apache-2.0
// GrpcCall: the server's half of one gRPC call on an HTTP/2 stream, and the RawCall its handler
// sees. It checks the headers in the order and with the texts of grpc-go, reads messages, enforces
// the deadline and writes status trailers. Threads: the session's loop. Lifetime: one allocation
// per call, shared by the session and the handler; when the stream ends first, the handler's calls
// have no effect. Bounds: one unfinished message of at most message_bytes_max (its announced size
// counts against input_bytes_max of the connection); bytes a handler does not read, by the stream
// window; bytes to send, by send_buffer_bytes, which the handler is told: above it no message is
// read, so a stream that answers each message is bounded without the handler's doing.
#pragma once

#include "store/rpc/call.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/grpc_frame.h"
#include "store/rpc/h2_stream.h"
#include "store/rpc/limits.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store::rpc {

class GrpcCall final : public RawCall,
                       public H2Stream,
                       public std::enable_shared_from_this<GrpcCall> {
 public:
  // All outlive the call's session; the call keeps only what it needs afterwards.
  GrpcCall(const MethodTable& methods, const Limits& limits, EventLoop& loop,
           std::shared_ptr<const PeerIdentity> peer);

  // RawCall.
  const CallInfo& info() const override { return info_; }
  bool Send(MessageBody message) override;
  void Finish(RpcStatus status) override;
  bool done() const override { return over_; }
  void OnMessage(absl::AnyInvocable<void(SharedBytes)> action) override;
  void HoldInput(bool held) override;
  void OnHalfClose(Action action) override;
  void OnCancel(Action action) override;
  void OnDrained(Action action) override;
  void OnStop(Action action) override;

  // H2Stream.
  void OnHeaders(const HeaderBlock& headers, bool end) override;
  void OnData(std::string_view bytes) override;
  void OnRemoteEnd() override;
  bool SubmitTrailers() override;
  void OnQueueDrained() override;
  void OnServerStops() override;
  void OnStreamClosed(uint32_t error_code) override;

 private:
  struct RequestHeaders;
  bool CheckHeaders(const RequestHeaders& headers);
  bool FindMethod(std::string_view path);
  void RefuseWithHttp(std::string_view status, std::string_view text);
  void StartDeadline();
  void Begin(SharedBytes message);
  // Reads messages while the handler takes them; what is left over is to wait in held_.
  std::string_view Feed(std::string_view bytes);
  bool Take(std::string_view* bytes);
  bool TakePart();
  void Deliver(SharedBytes message);
  void FeedHeld();
  void FeedHeldLater();
  void CheckHalfClose();
  bool reading() const;
  // The call is over: no callback stays, no timer runs. Returns the cancel action.
  Action EndWith(GrpcCode code);
  void ReleasePartial();

  const MethodTable& methods_;
  const Limits& limits_;
  EventLoop& loop_;
  const Method* method_ = nullptr;
  CallInfo info_;
  MessageReader reader_;
  std::string held_;  // received, not yet read from held_from_ on
  size_t held_from_ = 0;
  size_t partial_reserved_ = 0;

  absl::AnyInvocable<void(SharedBytes)> on_message_;
  Action on_half_close_;
  Action on_cancel_;
  Action on_drained_;
  Action on_stop_;
  std::optional<Executor::TimerId> deadline_timer_;
  RpcStatus status_;
  bool over_ = false;
  bool begun_ = false;  // the handler has been called
  bool headers_sent_ = false;
  bool received_ = false;  // a whole message
  bool delivering_ = false;
  bool input_held_ = false;  // by the handler
  bool remote_ended_ = false;
};

}  // namespace store::rpc
