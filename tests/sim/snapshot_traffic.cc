// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/snapshot_traffic.h"

#include "store/base/crc32c.h"
#include "tests/sim/store_process.h"

#include <utility>
#include <variant>

namespace store::sim {
namespace {

using Kind = SnapshotPacket::Kind;

std::string BytesOf(const rpc::MessageBody& message) {
  std::string bytes;
  for (const SharedBytes& part : message.parts()) bytes.append(part.view());
  return bytes;
}

}  // namespace

Time SnapshotTraffic::Now() const { return process_.host_.events().now(); }

// ---- sending ----

SnapshotTraffic::Outgoing* SnapshotTraffic::Find(raft::NodeId peer, uint64_t transfer) {
  auto found = outgoing_.find(peer);
  bool same = found != outgoing_.end() && found->second.transfer == transfer;
  return same ? &found->second : nullptr;
}

void SnapshotTraffic::Send(const raft::SnapshotOrder& order) {
  auto [at, fresh] = outgoing_.try_emplace(order.peer);
  if (!fresh) {
    return process_.world_.Fail(fmt::format("member {} sends two snapshots to {} at once",
                                            process_.self_.node, order.peer));
  }
  at->second.order = order;
  at->second.transfer = process_.host_.random().Next();
  uint64_t transfer = at->second.transfer;
  process_.host_.Later(process_.host_.Draw(process_.options_.sync_mean),
                       [this, peer = order.peer, transfer] { Make(peer, transfer); });
}

void SnapshotTraffic::Make(raft::NodeId peer, uint64_t transfer) {
  Outgoing* out = Find(peer, transfer);
  if (out == nullptr) return;
  engine::MemEngine& engine = *process_.engine_;
  if (!process_.FlushEngine()) return End(*out, false);
  auto row = apply::StateMachine::ReadApplied(engine, engine::Tier::kPersisted);
  if (!row || !*row) return process_.world_.Fail("a checkpoint without an applied row");
  out->meta = {(*row)->index, (*row)->term, (*row)->conf};
  if (out->meta.index < out->order.at_least) return End(*out, false);
  out->rows = engine.FlushedRows();
  out->progress = Now();
  process_.Input([this, taken = replica::SnapshotTaken{peer, out->meta.index}] {
    process_.replica_->OnSnapshot(taken);
  });
  peer::SnapshotManifest manifest{.cluster = ClusterId(1),
                                  .from = process_.self_.node,
                                  .to = peer,
                                  .term = out->order.term,
                                  .meta = out->meta,
                                  .format = engine::kMemFormat,
                                  .files = {{"rows", out->rows.size(), Crc32c(out->rows)}}};
  process_.SendPacket(peer, {.kind = Kind::kChunk,
                             .transfer = transfer,
                             .number = ++out->number,
                             .bytes = BytesOf(peer::EncodeManifest(manifest))});
  LookForSenderStall(peer, transfer);
  Pump(*out);
}

void SnapshotTraffic::Pump(Outgoing& out) {
  const SnapshotOptions& options = process_.options_.snapshots;
  const uint64_t window = options.window_parts * options.part_bytes;
  while (out.sent < out.rows.size() && out.sent - out.written < window) SendPart(out);
  if (out.sent < out.rows.size() || std::exchange(out.closed, true)) return;
  process_.SendPacket(
      out.order.peer,
      {.kind = Kind::kClose, .transfer = out.transfer, .number = ++out.number, .bytes = {}});
}

void SnapshotTraffic::SendPart(Outgoing& out) {
  const SnapshotOptions& options = process_.options_.snapshots;
  Random& random = process_.host_.random();
  std::string data = out.rows.substr(out.sent, options.part_bytes);
  const uint64_t offset = std::exchange(out.sent, out.sent + data.size());
  const bool faults = !process_.world_.healed();
  if (faults && random.Chance(options.damage)) data[random.Below(data.size())] ^= 0x10;
  std::string bytes = BytesOf(peer::EncodePart({0, offset, std::move(data)}));
  ++process_.world_.counts().snapshot_parts;
  ++out.number;
  // A connection that broke: whatever follows is not taken.
  if (faults && random.Chance(options.broken)) {
    ++process_.world_.counts().snapshots_broken;
    return;
  }
  process_.SendPacket(out.order.peer, {.kind = Kind::kChunk,
                                       .transfer = out.transfer,
                                       .number = out.number,
                                       .bytes = std::move(bytes)});
}

void SnapshotTraffic::OnAck(Outgoing& out, const std::string& bytes) {
  auto written = peer::DecodeAck(SharedBytes::Copy(bytes));
  if (!written || *written > out.sent || *written < out.written) {
    return process_.world_.Fail("an acknowledgement of what was not sent");
  }
  out.written = *written;
  out.progress = Now();
  Pump(out);
}

void SnapshotTraffic::Cancel(raft::NodeId peer) {
  process_.host_.Later(0, [this, peer] {
    auto found = outgoing_.find(peer);
    if (found == outgoing_.end()) return;
    process_.SendPacket(peer,
                        {.kind = Kind::kGone, .transfer = found->second.transfer, .bytes = {}});
    End(found->second, false);
  });
}

void SnapshotTraffic::End(Outgoing& out, bool ok) {
  StoreCounts& counts = process_.world_.counts();
  ++(ok ? counts.snapshots_sent : counts.snapshots_failed);
  replica::SnapshotSent sent{out.order.peer, out.meta.index, ok};
  outgoing_.erase(out.order.peer);
  process_.Input([this, sent] { process_.replica_->OnSnapshot(sent); });
}

void SnapshotTraffic::LookForSenderStall(raft::NodeId peer, uint64_t transfer) {
  const Time stall = process_.options_.snapshots.stall;
  process_.host_.Later(stall / 2, [this, peer, transfer, stall] {
    Outgoing* out = Find(peer, transfer);
    if (out == nullptr) return;
    if (Now() - out->progress >= stall) return End(*out, false);
    LookForSenderStall(peer, transfer);
  });
}

// ---- receiving ----

void SnapshotTraffic::Receive(raft::NodeId from, SnapshotPacket packet) {
  if (packet.kind == Kind::kChunk || packet.kind == Kind::kClose) return OnChunk(from, packet);
  if (packet.kind == Kind::kGone) {
    if (incoming_ && incoming_->transfer == packet.transfer) incoming_.reset();
    return;
  }
  Outgoing* out = Find(from, packet.transfer);
  if (out == nullptr) return;
  if (packet.kind == Kind::kAck) return OnAck(*out, packet.bytes);
  End(*out, packet.ok && out->closed && out->written == out->rows.size());
}

void SnapshotTraffic::OnChunk(raft::NodeId from, const SnapshotPacket& packet) {
  auto chunk = packet.kind == Kind::kClose ? peer::DecodeChunk({})
                                           : peer::DecodeChunk(SharedBytes::Copy(packet.bytes));
  if (chunk && std::holds_alternative<peer::SnapshotManifest>(*chunk)) {
    return OnManifest(from, packet, std::get<peer::SnapshotManifest>(std::move(*chunk)));
  }
  if (!incoming_ || incoming_->transfer != packet.transfer) {
    return Answer(from, packet.transfer, false);
  }
  if (packet.number != ++incoming_->number) return GiveUp();
  incoming_->progress = Now();
  if (packet.kind == Kind::kClose) {
    return process_.host_.Later(process_.host_.Draw(process_.options_.sync_mean),
                                [this, transfer = packet.transfer] { Complete(transfer); });
  }
  if (!chunk) return GiveUp();
  OnPart(std::get<engine::CheckpointPart>(*chunk));
}

void SnapshotTraffic::OnManifest(raft::NodeId from, const SnapshotPacket& packet,
                                 peer::SnapshotManifest manifest) {
  // One snapshot at a time, until the replica has said what becomes of it.
  if (incoming_ || held_) return Answer(from, packet.transfer, false);
  incoming_ = Incoming{from, packet.transfer, packet.number, std::move(manifest), {}, Now()};
  LookForReceiverStall(packet.transfer);
}

void SnapshotTraffic::OnPart(const engine::CheckpointPart& part) {
  if (part.file != 0 || part.offset != incoming_->rows.size()) return GiveUp();
  incoming_->rows += part.data;
  process_.SendPacket(
      incoming_->from,
      {.kind = Kind::kAck,
       .transfer = incoming_->transfer,
       .bytes = BytesOf(peer::EncodeAck(incoming_->manifest.meta.index, incoming_->rows.size()))});
}

void SnapshotTraffic::Complete(uint64_t transfer) {
  if (!incoming_ || incoming_->transfer != transfer) return;
  if (!Verify()) return GiveUp();
  const Incoming done = std::move(*std::exchange(incoming_, {}));
  // The replica is told first: what becomes of it no longer depends on the sender.
  replica::SnapshotReceived received{done.from, done.manifest.term, done.manifest.meta};
  process_.Input([this, received] { process_.replica_->OnSnapshot(received); });
  process_.host_.Later(process_.host_.Draw(process_.options_.turn_mean),
                       [this, from = done.from, transfer] { Answer(from, transfer, true); });
}

// Checksum, room, and that it is what its manifest says; then it is held.
bool SnapshotTraffic::Verify() {
  const engine::CheckpointFile& file = incoming_->manifest.files.at(0);
  bool whole = incoming_->rows.size() == file.size_bytes;
  if (whole && Crc32c(incoming_->rows) != file.crc32c) {
    ++process_.world_.counts().snapshots_damaged;
    return false;
  }
  if (!whole || process_.full_) return false;
  auto engine = engine::MemEngine::FromRows(incoming_->rows, "a received snapshot");
  auto row = engine ? apply::StateMachine::ReadApplied(**engine, engine::Tier::kPersisted)
                    : Fail(engine.error());
  const raft::SnapshotMeta& meta = incoming_->manifest.meta;
  bool same = row && *row && (*row)->index == meta.index && (*row)->term == meta.term &&
              (*row)->conf == meta.conf;
  if (!same) {
    process_.world_.Fail(fmt::format("a verified snapshot of {} is not what it says", meta.index));
    return false;
  }
  held_ = Held{meta.index, std::move(*engine)};
  return true;
}

std::shared_ptr<engine::MemEngine> SnapshotTraffic::Take(raft::Index index) {
  bool held = held_ && held_->index == index;
  return held ? std::exchange(held_->engine, nullptr) : nullptr;
}

void SnapshotTraffic::Release(raft::Index index) {
  process_.host_.Later(process_.host_.Draw(process_.options_.turn_mean), [this, index] {
    if (!held_ || held_->index != index) return;
    if (held_->engine != nullptr) ++process_.world_.counts().snapshots_unwanted;
    held_.reset();
  });
}

void SnapshotTraffic::Answer(raft::NodeId to, uint64_t transfer, bool ok) {
  process_.SendPacket(to, {.kind = Kind::kEnd, .transfer = transfer, .ok = ok, .bytes = {}});
}

void SnapshotTraffic::GiveUp() {
  const Incoming failed = std::move(*std::exchange(incoming_, {}));
  Answer(failed.from, failed.transfer, false);
}

void SnapshotTraffic::LookForReceiverStall(uint64_t transfer) {
  const Time stall = process_.options_.snapshots.stall;
  process_.host_.Later(stall / 2, [this, transfer, stall] {
    if (!incoming_ || incoming_->transfer != transfer) return;
    if (Now() - incoming_->progress >= stall) return GiveUp();
    LookForReceiverStall(transfer);
  });
}

}  // namespace store::sim
