// SPDX-License-Identifier: Apache-2.0
// PeerDoor: the peer port of a member that has no peers yet. The listen-peer-urls are bound as etcd
// binds them, so a port in use is found at start; a connection is accepted, told GOAWAY, closed and
// logged once a minute. The peer transport of the cluster takes its place. Open anywhere; Start and
// Stop by the server's thread; connections on the given loop. Nothing is kept per connection.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/url.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/listener.h"
#include "store/rpc/stats.h"

#include <memory>
#include <vector>

namespace store::server {

class PeerDoor {
 public:
  PeerDoor(const Clock& clock, Logger log) : log_(std::move(log)), quiet_(clock) {}

  Status Open(const std::vector<Url>& urls);
  void Start(rpc::EventLoop& loop);
  // The loop must still run.
  void Stop(rpc::EventLoop& loop);

 private:
  void TurnAway(int fd);

  Logger log_;
  LogEvery quiet_;
  rpc::TransportStats stats_;
  std::vector<std::unique_ptr<rpc::Listener>> listeners_;
};

}  // namespace store::server
