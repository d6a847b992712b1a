// SPDX-License-Identifier: Apache-2.0
// SnapshotTraffic: the files of snapshots between simulated members, as store/peer's sender and
// receiver carry them, without threads and files: manifest and parts in the production encoding on
// a stream that is late, breaks, is cut in the middle or arrives damaged; acknowledgements that
// open a window; one slot at the receiver until the replica releases it; a silent other side is
// given up. Belongs to one StoreProcess and dies with it at any moment: what was received and not
// installed is gone, as a start empties `incoming`. One thread.
#pragma once

#include "store/engine/mem_engine.h"
#include "store/peer/snapshot_wire.h"
#include "store/raft/output.h"
#include "tests/sim/event_queue.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace store::sim {

class StoreProcess;

// One message of a stream; those of one side are numbered, so that a gap is seen.
struct SnapshotPacket {
  enum class Kind : uint8_t { kChunk, kClose, kAck, kEnd, kGone };
  Kind kind = Kind::kChunk;
  uint64_t transfer = 0;
  uint64_t number = 0;
  bool ok = false;  // of kEnd: the receiver has it whole
  std::string bytes;
};

class SnapshotTraffic {
 public:
  explicit SnapshotTraffic(StoreProcess& process) : process_(process) {}
  SnapshotTraffic(const SnapshotTraffic&) = delete;
  SnapshotTraffic& operator=(const SnapshotTraffic&) = delete;

  // Sending: as replica::SnapshotTransport.
  void Send(const raft::SnapshotOrder& order);
  void Cancel(raft::NodeId peer);
  // Receiving: the state that was received at that index, to be installed; null: there is none.
  std::shared_ptr<engine::MemEngine> Take(raft::Index index);
  void Release(raft::Index index);

  void Receive(raft::NodeId from, SnapshotPacket packet);

 private:
  struct Outgoing {
    raft::SnapshotOrder order;
    uint64_t transfer = 0;
    raft::SnapshotMeta meta;
    std::string rows;
    uint64_t number = 0;  // of the last packet
    uint64_t sent = 0;    // bytes
    uint64_t written = 0;
    bool closed = false;
    Time progress = 0;
  };
  struct Incoming {
    raft::NodeId from;
    uint64_t transfer = 0;
    uint64_t number = 0;
    peer::SnapshotManifest manifest;
    std::string rows;
    Time progress = 0;
  };
  struct Held {
    raft::Index index;
    std::shared_ptr<engine::MemEngine> engine;
  };

  Outgoing* Find(raft::NodeId peer, uint64_t transfer);
  void Make(raft::NodeId peer, uint64_t transfer);
  void Pump(Outgoing& out);
  void SendPart(Outgoing& out);
  void OnAck(Outgoing& out, const std::string& bytes);
  void End(Outgoing& out, bool ok);
  void LookForSenderStall(raft::NodeId peer, uint64_t transfer);

  void OnChunk(raft::NodeId from, const SnapshotPacket& packet);
  void OnManifest(raft::NodeId from, const SnapshotPacket& packet, peer::SnapshotManifest manifest);
  void OnPart(const engine::CheckpointPart& part);
  void Complete(uint64_t transfer);
  bool Verify();
  void Answer(raft::NodeId to, uint64_t transfer, bool ok);
  // The running one failed.
  void GiveUp();
  void LookForReceiverStall(uint64_t transfer);
  Time Now() const;

  StoreProcess& process_;
  std::map<raft::NodeId, Outgoing> outgoing_;
  std::optional<Incoming> incoming_;
  std::optional<Held> held_;
};

}  // namespace store::sim
