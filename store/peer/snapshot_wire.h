// SPDX-License-Identifier: Apache-2.0
// What travels on a snapshot's stream (proto/peer.proto: Chunk, SnapshotAck) and what a checkpoint
// says of itself. Pure functions, any thread; ReadSnapshotMeta reads the disk.
#pragma once

#include "store/base/bytes.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/engine/checkpoint.h"
#include "store/raft/types.h"
#include "store/rpc/call.h"

#include <cstdint>
#include <variant>
#include <vector>

namespace store::peer {

struct SnapshotManifest {
  ClusterId cluster;
  raft::NodeId from;
  raft::NodeId to;
  raft::Term term;  // of the leader that sends
  raft::SnapshotMeta meta;
  uint32_t format = 0;
  std::vector<engine::CheckpointFile> files;
};

rpc::MessageBody EncodeManifest(const SnapshotManifest& manifest);
rpc::MessageBody EncodePart(engine::CheckpointPart part);
rpc::MessageBody EncodeAck(raft::Index index, uint64_t written_bytes);

// kUnsupported for another protocol, kCorruption for what is no chunk.
Result<std::variant<SnapshotManifest, engine::CheckpointPart>> DecodeChunk(
    const SharedBytes& bytes);
// The written bytes.
Result<uint64_t> DecodeAck(const SharedBytes& bytes);

// Index, term and members from the checkpoint itself, opened read-only: also the proof that it can
// be opened.
Result<raft::SnapshotMeta> ReadSnapshotMeta(const engine::Path& directory, uint32_t format);

}  // namespace store::peer
