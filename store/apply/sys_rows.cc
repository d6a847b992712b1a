// SPDX-License-Identifier: Apache-2.0
#include "store/apply/sys_rows.h"

#include "store/base/coding.h"
#include "store/engine/sys_keys.h"

#include <fmt/format.h>

#include <vector>

namespace store::apply {
namespace {

using engine::SysKey;
using engine::SysSection;

constexpr uint8_t kRowFormat = 1;

tl::unexpected<Error> Malformed(std::string_view what) {
  return Fail(ErrorCode::kCorruption, fmt::format("{} in the state is malformed", what));
}

Status ReadFormat(ByteReader* in, std::string_view what) {
  uint8_t format = 0;
  if (!in->ReadU8(&format)) return Malformed(what);
  if (format == kRowFormat) return Ok();
  return Fail(ErrorCode::kUnsupported,
              fmt::format("{} in the state has format {}, this release reads {}", what, format,
                          kRowFormat));
}

void AppendNodes(std::string* out, const std::vector<raft::NodeId>& nodes) {
  AppendVarint(out, nodes.size());
  for (raft::NodeId node : nodes) AppendBigEndian64(out, node.value());
}

bool ReadNodes(ByteReader* in, std::vector<raft::NodeId>* nodes) {
  uint64_t count = 0;
  if (!in->ReadVarint(&count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t id = 0;
    if (!in->ReadBigEndian64(&id)) return false;
    nodes->emplace_back(id);
  }
  return true;
}

std::string IdBytes(LeaseId id) {
  std::string bytes;
  AppendBigEndian64(&bytes, static_cast<uint64_t>(id.value()));
  return bytes;
}

// Section byte and id off the front of `in`.
bool ReadId(ByteReader* in, LeaseId* id) {
  uint64_t number = 0;
  if (!in->Skip(1) || !in->ReadBigEndian64(&number)) return false;
  *id = LeaseId(static_cast<int64_t>(number));
  return true;
}

}  // namespace

std::string AppliedKey() { return SysKey(SysSection::kApplied); }

void EncodeApplied(const AppliedRow& row, std::string* out) {
  AppendU8(out, kRowFormat);
  AppendVarint(out, row.index.value());
  AppendVarint(out, row.term.value());
  AppendVarint(out, static_cast<uint64_t>(row.current.value()));
  AppendNodes(out, row.conf.voters);
  AppendNodes(out, row.conf.outgoing);
  AppendNodes(out, row.conf.learners);
}

Result<AppliedRow> DecodeApplied(std::string_view bytes) {
  constexpr std::string_view kWhat = "the applied row";
  ByteReader in(bytes);
  RETURN_IF_ERROR(ReadFormat(&in, kWhat));
  uint64_t index = 0;
  uint64_t term = 0;
  uint64_t current = 0;
  AppliedRow row;
  if (!in.ReadVarint(&index) || !in.ReadVarint(&term) || !in.ReadVarint(&current) ||
      !ReadNodes(&in, &row.conf.voters) || !ReadNodes(&in, &row.conf.outgoing) ||
      !ReadNodes(&in, &row.conf.learners) || !in.empty()) {
    return Malformed(kWhat);
  }
  row.index = raft::Index(index);
  row.term = raft::Term(term);
  row.current = Revision(static_cast<int64_t>(current));
  return row;
}

std::string LeaseKey(LeaseId id) { return SysKey(SysSection::kLease, IdBytes(id)); }

std::string EncodeLease(const LeaseRow& row) {
  std::string out;
  AppendU8(&out, kRowFormat);
  AppendVarint(&out, ZigZag(row.ttl_seconds));
  AppendVarint(&out, ZigZag(row.remaining_seconds));
  return out;
}

Result<std::pair<LeaseId, LeaseRow>> DecodeLease(std::string_view key, std::string_view value) {
  constexpr std::string_view kWhat = "a lease";
  ByteReader key_in(key);
  LeaseId id;
  if (!ReadId(&key_in, &id) || !key_in.empty() || !id) return Malformed(kWhat);
  ByteReader in(value);
  RETURN_IF_ERROR(ReadFormat(&in, kWhat));
  uint64_t ttl = 0;
  uint64_t remaining = 0;
  if (!in.ReadVarint(&ttl) || !in.ReadVarint(&remaining) || !in.empty()) return Malformed(kWhat);
  return std::pair(id, LeaseRow{UnZigZag(ttl), UnZigZag(remaining)});
}

std::string LeaseItemKey(LeaseId id, std::string_view key) {
  std::string row = SysKey(SysSection::kLeaseItem, IdBytes(id));
  row.append(key);
  return row;
}

Result<std::pair<LeaseId, std::string_view>> DecodeLeaseItem(std::string_view key) {
  ByteReader in(key);
  LeaseId id;
  if (!ReadId(&in, &id)) return Malformed("a key of a lease");
  return std::pair(id, in.rest());
}

std::string AlarmKey(const cluster::Alarm& alarm) {
  std::string key;
  AppendU8(&key, static_cast<uint8_t>(alarm.kind));
  AppendBigEndian64(&key, alarm.member);
  return SysKey(SysSection::kAlarm, key);
}

Result<cluster::Alarm> DecodeAlarm(std::string_view key) {
  ByteReader in(key);
  uint8_t kind = 0;
  cluster::Alarm alarm;
  if (!in.Skip(1) || !in.ReadU8(&kind) || !in.ReadBigEndian64(&alarm.member) || !in.empty() ||
      kind > static_cast<uint8_t>(cluster::AlarmKind::kCorrupt)) {
    return Malformed("an alarm");
  }
  alarm.kind = static_cast<cluster::AlarmKind>(kind);
  return alarm;
}

}  // namespace store::apply
