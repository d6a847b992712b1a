// SPDX-License-Identifier: Apache-2.0
// ClientCall: the caller's half of one gRPC call over a Channel. Callbacks are set right after
// Start; OnFinish comes exactly once, always later than the Start that made the call, and is the
// last. Threads: the channel's loop. Lifetime: shared by channel and caller; when the call is over
// it drops its callbacks, which may hold it. Bounds: as on the server: Send says false above
// send_buffer_bytes, one unfinished message of at most message_bytes_max.
#pragma once

#include "store/rpc/call.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/grpc_frame.h"
#include "store/rpc/h2_stream.h"
#include "store/rpc/limits.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store::rpc {

struct CallOptions {
  std::optional<Duration> timeout;
  Metadata metadata;
};

class ClientCall final : public H2Stream, public std::enable_shared_from_this<ClientCall> {
 public:
  void OnMessage(absl::AnyInvocable<void(SharedBytes)> action) { on_message_ = std::move(action); }
  void OnFinish(absl::AnyInvocable<void(const RpcStatus&)> action) {
    on_finish_ = std::move(action);
  }
  void OnDrained(Action action) { on_drained_ = std::move(action); }

  // False: wait for OnDrained.
  bool Send(const MessageBody& message);
  void CloseSend();
  // OnFinish(CANCELLED) follows.
  void Cancel();
  bool done() const { return over_; }

  // H2Stream.
  void OnHeaders(const HeaderBlock& headers, bool end) override;
  void OnData(std::string_view bytes) override;
  void OnRemoteEnd() override;
  bool SubmitTrailers() override { return false; }
  void OnQueueDrained() override;
  void OnStreamClosed(uint32_t error_code) override;

  // By the channel.
  ClientCall(EventLoop& loop, const Limits& limits, std::string path, CallOptions options);
  // Sends the headers over a session that works.
  void OpenOn(H2Session& session, std::string_view authority);
  void FailLater(RpcStatus status);

 private:
  void End(RpcStatus status);
  void Abort(RpcStatus status, uint32_t error_code);

  EventLoop& loop_;
  const size_t send_buffer_bytes_;
  std::string path_;
  CallOptions options_;
  std::optional<TimePoint> deadline_;
  std::optional<Executor::TimerId> timer_;
  MessageReader reader_;
  RpcStatus status_{GrpcCode::kUnknown, ""};
  bool has_status_ = false;
  bool over_ = false;
  absl::AnyInvocable<void(SharedBytes)> on_message_;
  absl::AnyInvocable<void(const RpcStatus&)> on_finish_;
  Action on_drained_;
};
using ClientCallPtr = std::shared_ptr<ClientCall>;

}  // namespace store::rpc
