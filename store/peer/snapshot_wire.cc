// SPDX-License-Identifier: Apache-2.0
#include "store/peer/snapshot_wire.h"

#include "peer.pb.h"
#include "store/apply/state_machine.h"
#include "store/peer/snapshot_sender.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace store::peer {
namespace {

namespace wire = sluice::peer;

template <class Ids>
void Put(const std::vector<raft::NodeId>& from, Ids* to) {
  for (raft::NodeId id : from) to->Add(id.value());
}

template <class Ids>
std::vector<raft::NodeId> Take(const Ids& from) {
  std::vector<raft::NodeId> ids;
  ids.reserve(static_cast<size_t>(from.size()));
  for (uint64_t id : from) ids.emplace_back(id);
  return ids;
}

SnapshotManifest TakeManifest(const wire::SnapshotManifest& message) {
  SnapshotManifest manifest;
  manifest.cluster = ClusterId(message.cluster_id());
  manifest.from = raft::NodeId(message.from());
  manifest.to = raft::NodeId(message.to());
  manifest.term = raft::Term(message.term());
  manifest.meta.index = raft::Index(message.meta().index());
  manifest.meta.term = raft::Term(message.meta().term());
  manifest.meta.conf.voters = Take(message.meta().conf().voters());
  manifest.meta.conf.outgoing = Take(message.meta().conf().voters_outgoing());
  manifest.meta.conf.learners = Take(message.meta().conf().learners());
  manifest.format = message.engine_format();
  for (const wire::FileInfo& file : message.files()) {
    manifest.files.push_back({file.name(), file.size_bytes(), file.crc32c()});
  }
  return manifest;
}

}  // namespace

rpc::MessageBody EncodeManifest(const SnapshotManifest& manifest) {
  wire::Chunk chunk;
  wire::SnapshotManifest& message = *chunk.mutable_manifest();
  message.set_cluster_id(manifest.cluster.value());
  message.set_from(manifest.from.value());
  message.set_to(manifest.to.value());
  message.set_protocol(kSnapshotProtocol);
  message.set_term(manifest.term.value());
  message.mutable_meta()->set_index(manifest.meta.index.value());
  message.mutable_meta()->set_term(manifest.meta.term.value());
  wire::ConfState& conf = *message.mutable_meta()->mutable_conf();
  Put(manifest.meta.conf.voters, conf.mutable_voters());
  Put(manifest.meta.conf.outgoing, conf.mutable_voters_outgoing());
  Put(manifest.meta.conf.learners, conf.mutable_learners());
  message.set_engine_format(manifest.format);
  for (const engine::CheckpointFile& file : manifest.files) {
    wire::FileInfo& info = *message.add_files();
    info.set_name(file.name);
    info.set_size_bytes(file.size_bytes);
    info.set_crc32c(file.crc32c);
  }
  return rpc::Encode(chunk);
}

rpc::MessageBody EncodePart(engine::CheckpointPart part) {
  wire::Chunk chunk;
  chunk.mutable_part()->set_file(part.file);
  chunk.mutable_part()->set_offset(part.offset);
  chunk.mutable_part()->set_data(std::move(part.data));
  return rpc::Encode(chunk);
}

rpc::MessageBody EncodeAck(raft::Index index, uint64_t written_bytes) {
  wire::SnapshotAck ack;
  ack.set_index(index.value());
  ack.set_written_bytes(written_bytes);
  return rpc::Encode(ack);
}

Result<std::variant<SnapshotManifest, engine::CheckpointPart>> DecodeChunk(
    const SharedBytes& bytes) {
  using Decoded = std::variant<SnapshotManifest, engine::CheckpointPart>;
  wire::Chunk chunk;
  if (!chunk.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kCorruption, "not a chunk of a snapshot");
  }
  if (chunk.has_part()) {
    return Decoded(engine::CheckpointPart{chunk.part().file(), chunk.part().offset(),
                                          std::move(*chunk.mutable_part()->mutable_data())});
  }
  if (!chunk.has_manifest()) return Fail(ErrorCode::kCorruption, "an empty chunk of a snapshot");
  if (chunk.manifest().protocol() != kSnapshotProtocol) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("a snapshot of protocol {}, this release speaks {}",
                            chunk.manifest().protocol(), kSnapshotProtocol));
  }
  return Decoded(TakeManifest(chunk.manifest()));
}

Result<uint64_t> DecodeAck(const SharedBytes& bytes) {
  wire::SnapshotAck ack;
  if (!ack.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kCorruption, "not an acknowledgement of a snapshot");
  }
  return ack.written_bytes();
}

Result<raft::SnapshotMeta> ReadSnapshotMeta(const engine::Path& directory, uint32_t format) {
  auto engine = engine::OpenCheckpoint(directory, format);
  RETURN_IF_ERROR(engine);
  auto row = apply::StateMachine::ReadApplied(**engine, engine::Tier::kAll);
  RETURN_IF_ERROR(row);
  if (!*row) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("{} says nothing of what was applied", directory.string()));
  }
  return raft::SnapshotMeta{(*row)->index, (*row)->term, std::move((*row)->conf)};
}

}  // namespace store::peer
