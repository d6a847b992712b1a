// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/record.h"

#include "store/base/coding.h"
#include "store/base/crc32c.h"

#include <fmt/format.h>

namespace store::mvcc {
namespace {

constexpr uint8_t kTombstone = 1;
constexpr uint8_t kHasLease = 2;
constexpr uint8_t kHasPrevious = 4;
constexpr uint8_t kKnownFlags = kTombstone | kHasLease | kHasPrevious;
// What a header takes besides the key, roughly and the same on every member.
constexpr size_t kHeaderOverhead = 24;

bool ReadPrevious(ByteReader& reader, RecordId* previous) {
  uint64_t main = 0;
  uint64_t sub = 0;
  if (!reader.ReadVarint(&main) || !reader.ReadVarint(&sub) || sub > UINT32_MAX) return false;
  *previous = {Revision(static_cast<int64_t>(main)), static_cast<uint32_t>(sub)};
  return previous->valid();
}

bool ReadPut(ByteReader& reader, bool has_lease, RecordHeader* header) {
  uint64_t create = 0;
  uint64_t version = 0;
  uint64_t lease = 0;
  uint64_t size = 0;
  if (!reader.ReadVarint(&create) || !reader.ReadVarint(&version)) return false;
  if (has_lease && !reader.ReadLittleEndian64(&lease)) return false;
  if (!reader.ReadVarint(&size) || size > UINT32_MAX) return false;
  if (!reader.ReadLittleEndian32(&header->value_crc)) return false;
  header->create = Revision(static_cast<int64_t>(create));
  header->version = static_cast<int64_t>(version);
  header->lease = LeaseId(static_cast<int64_t>(lease));
  header->value_size = static_cast<uint32_t>(size);
  return header->version > 0 && header->create.value() > 0;
}

}  // namespace

void AppendRecordHeader(const RecordHeader& header, std::string* out) {
  uint8_t flags = 0;
  if (header.tombstone) flags |= kTombstone;
  if (header.lease && !header.tombstone) flags |= kHasLease;
  if (header.previous.valid()) flags |= kHasPrevious;
  AppendU8(out, static_cast<uint8_t>(kRecordFormat << 4 | flags));
  AppendLengthPrefixed(out, header.key);
  if (header.previous.valid()) {
    AppendVarint(out, static_cast<uint64_t>(header.previous.main.value()));
    AppendVarint(out, header.previous.sub);
  }
  if (header.tombstone) return;
  AppendVarint(out, static_cast<uint64_t>(header.create.value()));
  AppendVarint(out, static_cast<uint64_t>(header.version));
  if (header.lease) AppendLittleEndian64(out, static_cast<uint64_t>(header.lease.value()));
  AppendVarint(out, header.value_size);
  AppendLittleEndian32(out, header.value_crc);
}

Result<RecordHeader> ParseRecordHeader(std::string_view bytes) {
  ByteReader reader(bytes);
  uint8_t first = 0;
  if (!reader.ReadU8(&first)) return Fail(ErrorCode::kCorruption, "record header is empty");
  if (first >> 4 != kRecordFormat) {
    return Fail(ErrorCode::kUnsupported, fmt::format("record header has format {}", first >> 4));
  }
  const uint8_t flags = first & 15;
  RecordHeader header;
  header.tombstone = (flags & kTombstone) != 0;
  bool good = (flags & ~kKnownFlags) == 0 && reader.ReadLengthPrefixed(&header.key);
  if (good && (flags & kHasPrevious) != 0) good = ReadPrevious(reader, &header.previous);
  if (good && !header.tombstone) good = ReadPut(reader, (flags & kHasLease) != 0, &header);
  if (!good || !reader.empty()) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("record header is malformed near byte {}", reader.position()));
  }
  return header;
}

Status CheckValue(const RecordHeader& header, RecordId id, std::string_view value) {
  if (value.size() == header.value_size && Crc32c(value) == header.value_crc) return Ok();
  return Fail(ErrorCode::kCorruption,
              fmt::format("value of record {}.{} does not match its header ({} bytes, expected {})",
                          id.main, id.sub, value.size(), header.value_size));
}

size_t RecordBytes(size_t key_size, size_t value_size) {
  return 2 * kRecordKeySize + kHeaderOverhead + key_size + value_size;
}

}  // namespace store::mvcc
