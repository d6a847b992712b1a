// SPDX-License-Identifier: Apache-2.0
// Listener: one listening socket. Opened without SO_REUSEPORT, so that a second server on the same
// port fails loudly instead of taking half of the connections. Accepts on one loop and hands each
// descriptor to its owner, who spreads them. Threads: Open anywhere; Start and Stop on the loop.
// Bounds: kAcceptsPerTurn a turn; out of descriptors, or while its owner has no room, it rests
// 100 ms, so that the loop does not spin on a socket it cannot accept from. Clients wait in the
// kernel's backlog meanwhile.
#pragma once

#include "store/base/error.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/socket_address.h"
#include "store/rpc/stats.h"

#include <absl/functional/any_invocable.h>

#include <optional>
#include <string>

namespace store::rpc {

class Listener final : private Pollable {
 public:
  // `accepted` owns the descriptor: non-blocking, TCP_NODELAY, TCP keep-alive every 30 s.
  using Accepted = absl::AnyInvocable<void(int fd)>;
  using HasRoom = absl::AnyInvocable<bool() const>;

  // One clear error when the address is in use or cannot be had.
  static Result<std::unique_ptr<Listener>> Open(const std::string& address);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void Start(EventLoop& loop, TransportStats& stats, Accepted accepted, HasRoom has_room = {});
  void Stop();
  // The bound one: names the port the system chose for port 0.
  const SocketAddress& address() const { return address_; }

 private:
  Listener(int fd, SocketAddress address, std::string unix_path);
  void OnReady(uint32_t events) override;
  void Rest();

  int fd_;
  SocketAddress address_;
  std::string unix_path_;  // removed at the end
  EventLoop* loop_ = nullptr;
  TransportStats* stats_ = nullptr;
  Accepted accepted_;
  HasRoom has_room_;
  std::optional<Executor::TimerId> rest_timer_;
};

}  // namespace store::rpc
