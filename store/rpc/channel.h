// SPDX-License-Identifier: Apache-2.0
// Channel: the client half: one connection to one address, made again with jittered back-off when
// it breaks, with unary and streaming calls over it. Peers and load generators use it; agents and
// sluicectl use gRPC C++. Threads: its loop, constructor and destructor too; not destroyed inside
// one of its callbacks. Owns its connection; calls are shared with their callers. Bounds: calls
// started while connecting wait, at most calls_waiting_max; between attempts calls fail at once
// with UNAVAILABLE, so that nothing piles up for a peer that is away.
#pragma once

#include "store/base/error.h"
#include "store/base/random.h"
#include "store/rpc/client_call.h"
#include "store/rpc/connection.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/input_budget.h"
#include "store/rpc/limits.h"
#include "store/rpc/name_lookup.h"
#include "store/rpc/socket_address.h"
#include "store/rpc/stats.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::rpc {

class H2Session;

struct ChannelOptions {
  std::string address;    // as SocketAddress::Resolve
  std::string authority;  // empty: the address
  Limits limits;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration backoff_min = std::chrono::milliseconds(50);
  Duration backoff_max = std::chrono::seconds(5);
  size_t calls_waiting_max = 1024;
  uint64_t seed = 0;  // of the jitter
  // Of an address that is no literal; may block.
  NameLookup::Resolve resolve = &SocketAddress::Resolve;
};

class Channel final : public ConnectionOwner {
 public:
  enum class State : uint8_t { kIdle, kConnecting, kReady, kBackoff, kClosed };

  Channel(EventLoop& loop, ChannelOptions options);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Connects and stays connected until Close.
  void Connect();
  void Close();
  State state() const { return state_; }
  // Why the last attempt or connection ended.
  const std::string& last_error() const { return last_error_; }
  void OnStateChange(absl::AnyInvocable<void(State)> action) { on_state_ = std::move(action); }

  // Begins a call; set its callbacks before returning to the loop. `path` is
  // "/package.Service/Method".
  ClientCallPtr Start(std::string_view path, CallOptions options = {});
  // One message each way. `done` is called once, later; the bytes are empty unless the status is
  // OK.
  using UnaryDone = absl::AnyInvocable<void(const RpcStatus&, SharedBytes)>;
  void Unary(std::string_view path, const MessageBody& request, CallOptions options,
             UnaryDone done);
  const TransportStats& stats() const { return stats_; }

 private:
  class Connecting;

  void Resolve();
  void ConnectTo(Result<SocketAddress> address);
  void OnConnected(int fd);
  void OnReady();
  void Fail(std::string error);
  void SetState(State state);
  void FailWaiting(const std::string& error);
  void OnConnectionClosed(Connection* connection, CloseReason reason) override;

  EventLoop& loop_;
  const ChannelOptions options_;
  const std::string authority_;
  Random random_;
  TransportStats stats_;
  InputPool input_;
  State state_ = State::kIdle;
  std::string last_error_;
  absl::AnyInvocable<void(State)> on_state_;
  Duration backoff_;
  std::optional<Executor::TimerId> timer_;
  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<Connection> connection_;
  H2Session* session_ = nullptr;  // of connection_
  std::vector<ClientCallPtr> waiting_;
  NameLookup names_;
};

}  // namespace store::rpc
