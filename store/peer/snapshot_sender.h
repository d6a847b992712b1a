// SPDX-License-Identifier: Apache-2.0
// SnapshotSender: this member's state to others. A transfer makes a checkpoint (flush and hard
// links), reads index, term and members from it, and sends its files over a connection of its own,
// so that neither heartbeats nor entries wait behind them. The receiver acknowledges what it has
// written; what is sent and not written stays below window_bytes, whatever the size of the state.
// All transfers together keep to bytes_per_second. One that makes no progress for stall_max fails.
//
// Send and Cancel from any thread; each Send is answered by one SnapshotSent, sooner or later.
// Transfers live on the loop, which outlives this; the disk is read on two threads of its own. Stop
// on the loop, then destroy. Bounded by: one transfer per peer (replica/snapshots decides how
// many), each of window_bytes and one part; one number for each peer that was ever missed.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/ids.h"
#include "store/base/log.h"
#include "store/base/worker_pool.h"
#include "store/engine/engine.h"
#include "store/raft/output.h"
#include "store/replica/peer_transport.h"
#include "store/rpc/channel.h"
#include "store/rpc/event_loop.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace store::peer {

inline constexpr std::string_view kSnapshotPath = "/sluice.peer.Peer/Snapshot";
inline constexpr uint32_t kSnapshotProtocol = 1;

struct SnapshotSenderOptions {
  ClusterId cluster;
  raft::NodeId self;
  engine::Path directory;  // <data-dir>/member
  // Host and port of each place where the peer may be; on the loop. None: the transfer fails.
  absl::AnyInvocable<std::vector<std::string>(raft::NodeId peer) const> addresses_of;
  size_t part_bytes = 256 << 10;
  size_t window_bytes = 1 << 20;
  uint64_t bytes_per_second = 64 << 20;
  Duration stall_max = std::chrono::seconds(60);
};

struct SnapshotSendStats {
  std::atomic<uint64_t> started = 0;
  std::atomic<uint64_t> sent = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<uint64_t> bytes = 0;
  std::atomic<uint64_t> running = 0;
};

class SnapshotSender {
 public:
  SnapshotSender(SnapshotSenderOptions options, rpc::EventLoop& loop, apply::StateMachine& machine,
                 replica::PeerEvents& events, Logger log);
  ~SnapshotSender();
  SnapshotSender(const SnapshotSender&) = delete;
  SnapshotSender& operator=(const SnapshotSender&) = delete;

  void Send(const raft::SnapshotOrder& order);
  void Cancel(raft::NodeId peer);
  // On the loop. Transfers end; nothing is told any more.
  void Stop();

  const SnapshotSendStats& stats() const { return stats_; }

 private:
  class Transfer;

  void Begin(const raft::SnapshotOrder& order);
  // The next of its addresses after each attempt that did not reach it; empty: it has none.
  std::string AddressOf(raft::NodeId peer) const;
  void Forget(raft::NodeId peer);
  // When `bytes` more may leave.
  TimePoint Pace(size_t bytes);

  const SnapshotSenderOptions options_;
  rpc::EventLoop& loop_;
  apply::StateMachine& machine_;
  replica::PeerEvents& events_;
  const Logger log_;
  SnapshotSendStats stats_;
  // The loop's.
  std::map<raft::NodeId, std::shared_ptr<Transfer>> transfers_;
  std::map<raft::NodeId, size_t> missed_;  // attempts that did not reach that peer
  uint64_t last_number_ = 0;
  TimePoint free_at_{};
  bool stopped_ = false;
  // Posted actions that come after the end find it false. The pointer stays: any thread copies it.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  WorkerPool pool_;
};

}  // namespace store::peer
