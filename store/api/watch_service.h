// SPDX-License-Identifier: Apache-2.0
// WatchService: etcdserverpb.Watch over the hub. Per loop: the open streams, the mail from the hub
// and the monitor of streams that need a leader. Handlers and streams on their loop; the hub's
// thread only puts mail. The hub must not run any more when this is destroyed, nor the loops.
// Bounds: per stream, see watch_call.h.
#pragma once

#include "store/api/leader_monitor.h"
#include "store/api/service_context.h"
#include "store/api/watch_call.h"
#include "store/watch/watch_hub.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace store::api {

class WatchService {
 public:
  WatchService(const ServiceContext& context, watch::WatchHub& hub);
  ~WatchService();
  WatchService(const WatchService&) = delete;
  WatchService& operator=(const WatchService&) = delete;

  void Register(rpc::MethodTable& table);

 private:
  // Everything of one loop.
  class Loop;

  std::vector<std::unique_ptr<Loop>> loops_;  // index: LoopId
};

}  // namespace store::api
