// SPDX-License-Identifier: Apache-2.0
// SnapshotReceiver: the accepting side of /sluice.peer.Peer/Snapshot. One snapshot at a time: it is
// written to incoming/<index>.part, each file's checksum compared and the file synced, opened
// read-only to see that it is what its manifest says, renamed, and told as SnapshotReceived. From
// then on the slot stays taken until the replica says what becomes of it (Release); a second sender
// is refused with UNAVAILABLE and comes again. A sender that is silent for stall_max loses it.
//
// Calls live on their loop (the peer loop); files are written by one thread of its own. Release
// from any thread. Bounded by: one transfer, of which at most buffered_bytes_max are in memory (a
// sender that ignores the acknowledgements is cut off there).
#pragma once

#include "store/base/ids.h"
#include "store/base/log.h"
#include "store/base/thread.h"
#include "store/base/worker_pool.h"
#include "store/engine/engine.h"
#include "store/peer/peer_codec.h"
#include "store/raft/types.h"
#include "store/replica/peer_transport.h"
#include "store/rpc/call.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace store::peer {

struct SnapshotReceiverOptions {
  ClusterId cluster;
  raft::NodeId self;
  engine::Path directory;                  // <data-dir>/member
  uint32_t format = engine::kRocksFormat;  // of the engine that will open it
  size_t buffered_bytes_max = 8 << 20;
  Duration stall_max = std::chrono::seconds(60);
  // As PeerSet::CheckSender, on the call's loop; empty: who names this cluster and member may.
  absl::AnyInvocable<std::optional<rpc::RpcStatus>(const FrameHeader&, std::string_view address)
                         const>
      check_sender;
};

struct SnapshotReceiveStats {
  std::atomic<uint64_t> received = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<uint64_t> refused = 0;
  std::atomic<uint64_t> bytes = 0;
  std::atomic<uint64_t> running = 0;
};

class SnapshotReceiver {
 public:
  SnapshotReceiver(SnapshotReceiverOptions options, replica::PeerEvents& events, Logger log);
  ~SnapshotReceiver();
  SnapshotReceiver(const SnapshotReceiver&) = delete;
  SnapshotReceiver& operator=(const SnapshotReceiver&) = delete;

  void Register(rpc::MethodTable& methods);
  // The received snapshot at `index` was installed, or nobody wants it: what is left of its files
  // goes, and the next one may come. Any thread.
  void Release(raft::Index index);
  // After the calls have ended.
  void Stop();

  const SnapshotReceiveStats& stats() const { return stats_; }

 private:
  class Incoming;
  enum class Slot : uint8_t { kFree, kReceiving, kHeld };

  bool TakeSlot();
  void FreeSlot(Slot from);

  const SnapshotReceiverOptions options_;
  replica::PeerEvents& events_;
  const Logger log_;
  SnapshotReceiveStats stats_;
  std::atomic<Slot> slot_ = Slot::kFree;
  WorkerPool pool_;
};

}  // namespace store::peer
