// SPDX-License-Identifier: Apache-2.0
// PeerService: the accepting side of the peer port: an Exchange stream is nobody's until its first
// frame, a hello, says who opened it; PeerSet decides whether that is a member, and the stream
// becomes a link of its Peer. Registered before the peer port's server starts; runs on the peer
// loop, which is that server's only one. Bounds: a stream without a hello is ended after `silence`.
#pragma once

#include "store/peer/peer_set.h"
#include "store/rpc/call.h"

namespace store::peer {

class PeerService {
 public:
  // Outlives the server.
  explicit PeerService(PeerSet& peers) : peers_(peers) {}
  void Register(rpc::MethodTable& table) const;

 private:
  PeerSet& peers_;
};

}  // namespace store::peer
