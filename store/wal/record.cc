// SPDX-License-Identifier: Apache-2.0
#include "store/wal/record.h"

#include "store/base/check.h"
#include "store/base/coding.h"
#include "store/base/crc32c.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::wal {
namespace {

constexpr uint64_t kMagic = 0x314c415745435553;  // "SUCEWAL1"
constexpr size_t kSyncMarkBytes = 16;

uint32_t RecordCrc(uint64_t salt, RecordType type, std::string_view payload) {
  char head[9];
  StoreLittleEndian64(salt, head);
  head[8] = static_cast<char>(type);
  return ExtendCrc32c(Crc32c(std::string_view(head, sizeof(head))), payload);
}

void AppendConf(std::string* out, const raft::ConfState& conf) {
  for (const auto* nodes : {&conf.voters, &conf.outgoing, &conf.learners}) {
    AppendLittleEndian32(out, static_cast<uint32_t>(nodes->size()));
    for (raft::NodeId node : *nodes) AppendLittleEndian64(out, node.value());
  }
}

bool ReadConf(ByteReader* reader, raft::ConfState* conf) {
  for (auto* nodes : {&conf->voters, &conf->outgoing, &conf->learners}) {
    uint32_t count = 0;
    if (!reader->ReadLittleEndian32(&count) || count > reader->remaining() / 8) return false;
    for (uint32_t i = 0; i < count; ++i) {
      uint64_t node = 0;
      if (!reader->ReadLittleEndian64(&node)) return false;
      nodes->emplace_back(node);
    }
  }
  return true;
}

template <class... Integers>
void AppendAll(std::string* out, Integers... values) {
  (AppendLittleEndian64(out, values), ...);
}

// Fills each target (an integer or a strong one) from eight bytes.
template <class... Targets>
bool ReadAll(ByteReader* reader, Targets*... targets) {
  auto one = [reader](auto* target) {
    uint64_t value = 0;
    if (!reader->ReadLittleEndian64(&value)) return false;
    *target = std::remove_pointer_t<decltype(target)>(value);
    return true;
  };
  return (one(targets) && ...);
}

// One copy; nullopt: not a header.
Result<std::optional<SegmentHeader>> DecodeCopy(std::string_view bytes) {
  ByteReader reader(bytes);
  uint64_t magic = 0;
  uint32_t version = 0;
  uint32_t size = 0;
  uint32_t crc = 0;
  if (!reader.ReadLittleEndian64(&magic) || magic != kMagic ||
      !reader.ReadLittleEndian32(&version) || !reader.ReadLittleEndian32(&size) || size < 16 ||
      size > bytes.size()) {
    return std::nullopt;
  }
  ByteReader tail(bytes.substr(size));
  if (!tail.ReadLittleEndian32(&crc) || Crc32c(bytes.substr(0, size)) != crc) return std::nullopt;
  if (version != kFormatVersion) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("log format {}, this program reads {}", version, kFormatVersion));
  }
  SegmentHeader header;
  uint64_t cluster = 0;
  bool read =
      ReadAll(&reader, &cluster, &header.identity.member, &header.sequence, &header.salt,
              &header.predecessor.sequence, &header.predecessor.offset, &header.before.index,
              &header.before.term, &header.truncated.index, &header.truncated.term,
              &header.hard_state.term, &header.hard_state.vote, &header.hard_state.commit);
  header.identity.cluster = ClusterId(cluster);
  if (!read || !ReadConf(&reader, &header.conf)) return std::nullopt;
  return header;
}

bool AllZeros(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace

size_t RecordBytes(size_t payload_bytes) {
  size_t bytes = kRecordHeadBytes + payload_bytes;
  return (bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

void AppendRecord(std::string* out, uint64_t salt, RecordType type, std::string_view payload) {
  size_t end = out->size() + RecordBytes(payload.size());
  AppendLittleEndian32(out, static_cast<uint32_t>(payload.size()));
  AppendU8(out, static_cast<uint8_t>(type));
  AppendLittleEndian32(out, RecordCrc(salt, type, payload));
  out->append(payload);
  out->resize(end, '\0');
}

std::optional<RecordView> DecodeRecord(std::string_view bytes, uint64_t salt) {
  ByteReader reader(bytes);
  uint32_t length = 0;
  uint8_t type = 0;
  uint32_t crc = 0;
  if (!reader.ReadLittleEndian32(&length) || !reader.ReadU8(&type) ||
      !reader.ReadLittleEndian32(&crc) || type == 0 || length > reader.remaining()) {
    return std::nullopt;
  }
  RecordView record{static_cast<RecordType>(type), bytes.substr(kRecordHeadBytes, length),
                    RecordBytes(length)};
  if (record.bytes > bytes.size()) return std::nullopt;
  if (RecordCrc(salt, record.type, record.payload) != crc) return std::nullopt;
  return record;
}

std::string EncodeSyncMark(const Position& synced) {
  std::string out;
  AppendAll(&out, synced.sequence, synced.offset);
  return out;
}

std::string EncodeEntry(const raft::Entry& entry) {
  std::string out;
  out.reserve(17 + entry.data.size());
  AppendAll(&out, entry.index.value(), entry.term.value());
  AppendU8(&out, static_cast<uint8_t>(entry.kind));
  out += entry.data;
  return out;
}

std::string EncodeHardState(const raft::HardState& state) {
  std::string out;
  AppendAll(&out, state.term.value(), state.vote.value(), state.commit.value());
  return out;
}

std::string EncodeSuffixMark(const SuffixMark& mark) {
  std::string out;
  AppendAll(&out, mark.from.value(), mark.term_before.value());
  return out;
}

std::string EncodeSnapshot(const raft::SnapshotMeta& meta) {
  std::string out;
  AppendAll(&out, meta.index.value(), meta.term.value());
  AppendConf(&out, meta.conf);
  return out;
}

std::optional<Position> DecodeSyncMark(std::string_view payload) {
  Position mark;
  ByteReader reader(payload);
  if (!ReadAll(&reader, &mark.sequence, &mark.offset) || !reader.empty()) return std::nullopt;
  return mark;
}

std::optional<raft::Entry> DecodeEntry(std::string_view payload) {
  raft::Entry entry;
  ByteReader reader(payload);
  uint8_t kind = 0;
  if (!ReadAll(&reader, &entry.index, &entry.term) || !reader.ReadU8(&kind)) return std::nullopt;
  if (kind > static_cast<uint8_t>(raft::EntryKind::kConfChange)) return std::nullopt;
  entry.kind = static_cast<raft::EntryKind>(kind);
  entry.data = reader.rest();
  return entry;
}

std::optional<raft::HardState> DecodeHardState(std::string_view payload) {
  raft::HardState state;
  ByteReader reader(payload);
  if (!ReadAll(&reader, &state.term, &state.vote, &state.commit)) return std::nullopt;
  return state;
}

std::optional<SuffixMark> DecodeSuffixMark(std::string_view payload) {
  SuffixMark mark;
  ByteReader reader(payload);
  if (!ReadAll(&reader, &mark.from, &mark.term_before)) return std::nullopt;
  return mark;
}

std::optional<raft::SnapshotMeta> DecodeSnapshot(std::string_view payload) {
  raft::SnapshotMeta meta;
  ByteReader reader(payload);
  if (!ReadAll(&reader, &meta.index, &meta.term) || !ReadConf(&reader, &meta.conf)) {
    return std::nullopt;
  }
  return meta;
}

std::string EncodeHeader(const SegmentHeader& header) {
  std::string body;
  AppendAll(&body, header.identity.cluster.value(), header.identity.member.value(), header.sequence,
            header.salt, header.predecessor.sequence, header.predecessor.offset,
            header.before.index.value(), header.before.term.value(), header.truncated.index.value(),
            header.truncated.term.value());
  body += EncodeHardState(header.hard_state);
  AppendConf(&body, header.conf);
  std::string out;
  AppendLittleEndian64(&out, kMagic);
  AppendLittleEndian32(&out, kFormatVersion);
  AppendLittleEndian32(&out, static_cast<uint32_t>(16 + body.size()));
  out += body;
  AppendLittleEndian32(&out, Crc32c(out));
  CHECK(out.size() <= kHeaderCopyOffset, "{} bytes of header: too many members", out.size());
  out.resize(kHeaderCopyOffset, '\0');
  out += out;
  static_assert(kHeaderBytes == 2 * kHeaderCopyOffset);
  return out;
}

Result<std::optional<SegmentHeader>> DecodeHeader(std::string_view bytes, uint64_t sequence) {
  const std::string_view first = bytes.substr(0, kHeaderCopyOffset);
  const std::string_view second = bytes.substr(first.size(), kHeaderCopyOffset);
  bool former_life = false;
  for (std::string_view copy : {first, second}) {
    Result<std::optional<SegmentHeader>> header = DecodeCopy(copy);
    if (!header) return Fail(std::move(header).error());
    if (!*header) continue;
    if ((*header)->sequence == sequence) return header;
    former_life = true;
  }
  // Both copies are one write to one page, and before it the page held zeros or a former header:
  // no crash leaves two that are neither.
  if (!former_life && !AllZeros(second)) {
    return Fail(ErrorCode::kCorruption, "both copies of its header are damaged");
  }
  return std::nullopt;
}

uint64_t HighestMark(std::string_view bytes, size_t from, uint64_t sequence, uint64_t salt) {
  uint64_t highest = 0;
  const size_t mark_bytes = RecordBytes(kSyncMarkBytes);
  for (size_t at = from; at + mark_bytes <= bytes.size(); at += kRecordAlignment) {
    if (LoadLittleEndian32(bytes.data() + at) != kSyncMarkBytes ||
        bytes[at + 4] != static_cast<char>(RecordType::kSyncMark)) {
      continue;
    }
    std::optional<RecordView> record = DecodeRecord(bytes.substr(at, mark_bytes), salt);
    if (!record) continue;
    std::optional<Position> mark = DecodeSyncMark(record->payload);
    if (mark && mark->sequence == sequence) highest = std::max(highest, mark->offset);
  }
  return highest;
}

}  // namespace store::wal
