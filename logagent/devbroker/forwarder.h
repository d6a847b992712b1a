// SPDX-License-Identifier: Apache-2.0
// Forwarder: pipes the bytes of connections to one port to another port, both on loopback. The mock
// cluster listens on ports of its own choice and tells clients so in its metadata, so only the
// first (bootstrap) connection of a client comes through here. One thread, poll; at most
// kConnectionsMax connections with two buffers of 64 KiB each, more are closed at once.
#pragma once

#include "store/base/error.h"
#include "store/base/file.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace logagent {

using store::Result;
using store::Status;

class Forwarder {
 public:
  static constexpr size_t kConnectionsMax = 256;

  // Port 0 takes a free one.
  static Result<Forwarder> Listen(uint16_t port, uint16_t target_port);

  uint16_t port() const { return port_; }
  // Until `stop_fd` is readable.
  Status Run(int stop_fd);

 private:
  // One direction of a connection.
  struct Pipe {
    std::string buffer;  // read and not yet written
    bool ended = false;  // nothing more will be read
  };
  struct Connection {
    store::UniqueFd client;
    store::UniqueFd broker;
    Pipe up;
    Pipe down;
  };

  Forwarder(store::UniqueFd listener, uint16_t port, uint16_t target_port)
      : listener_(std::move(listener)), port_(port), target_port_(target_port) {}
  void Accept();
  static bool Move(int from, int to, short from_events, short to_events, Pipe& pipe);

  store::UniqueFd listener_;
  uint16_t port_;
  uint16_t target_port_;
  std::vector<Connection> connections_;
};

}  // namespace logagent
