// SPDX-License-Identifier: Apache-2.0
// SimCall: one call of a simulated client to a service in the same thread, as the transport would
// carry it: messages in order, a send limit that a slow reader reaches, callbacks dropped when the
// call is over. The client's callbacks only note what came; what they start is an event of its own,
// because they run inside the server's turn. Sever is the connection that breaks: nobody is told.
#pragma once

#include "store/rpc/call.h"
#include "tests/sim/host.h"
#include "tests/support/held_input.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace store::sim {

class SimCall final : public rpc::RawCall, public std::enable_shared_from_this<SimCall> {
 public:
  struct Client {
    absl::AnyInvocable<void(std::string bytes)> on_message;
    absl::AnyInvocable<void(const rpc::RpcStatus& status)> on_finish;
    Action on_severed;
    Time read_delay = 0;  // per message; 0: read as they come
  };

  SimCall(rpc::CallInfo info, SimThread& loop, Host& host, Client client)
      : info_(std::move(info)), loop_(loop), host_(host), client_(std::move(client)) {}

  // Service side.
  const rpc::CallInfo& info() const override { return info_; }
  bool Send(rpc::MessageBody message) override;
  void Finish(rpc::RpcStatus status) override;
  bool done() const override { return done_; }
  void OnMessage(absl::AnyInvocable<void(SharedBytes)> action) override {
    input_.OnMessage(std::move(action));
  }
  void HoldInput(bool held) override {
    if (input_.Hold(held)) loop_.Post([self = shared_from_this()] { self->input_.Deliver(); });
  }
  void OnHalfClose(Action action) override { input_.OnHalfClose(std::move(action)); }
  void OnCancel(Action action) override {
    if (!done_) on_cancel_ = std::move(action);
  }
  void OnDrained(Action action) override {
    if (!done_) on_drained_ = std::move(action);
  }
  void OnStop(Action) override {}  // members of the simulator crash

  // Client side; what reaches the service does so in a turn of its loop.
  void SendToService(std::string bytes);
  void HalfClose();
  void CancelByClient();
  // The process or the connection is gone.
  void Sever();
  bool severed() const { return severed_; }

 private:
  static constexpr size_t kSendLimit = 4 << 10;

  void ReadNext();
  void ScheduleRead();
  void End();

  const rpc::CallInfo info_;
  SimThread& loop_;
  Host& host_;
  Client client_;
  bool done_ = false;
  bool severed_ = false;
  rpc::test::HeldInput input_;
  Action on_cancel_;
  Action on_drained_;
  // On its way to the client.
  std::deque<std::string> unread_;
  size_t unread_bytes_ = 0;
  bool blocked_ = false;
  bool reading_ = false;
  std::unique_ptr<rpc::RpcStatus> ended_;  // behind what is unread
};

}  // namespace store::sim
