// SPDX-License-Identifier: Apache-2.0
#include "store/apply/put_command.h"

#include "store/apply/command.h"
#include "store/base/coding.h"

#include <cstdint>

namespace store::apply {
namespace {

// Field number and wire type: 0 varint, 1 eight bytes, 2 length and bytes.
constexpr uint8_t Tag(uint32_t field, uint32_t type) {
  return static_cast<uint8_t>(field << 3 | type);
}

// PutRequest
constexpr uint8_t kKey = Tag(1, 2);
constexpr uint8_t kValue = Tag(2, 2);
constexpr uint8_t kLease = Tag(3, 0);
constexpr uint8_t kPrevKv = Tag(4, 0);
constexpr uint8_t kIgnoreValue = Tag(5, 0);
constexpr uint8_t kIgnoreLease = Tag(6, 0);
// Command
constexpr uint8_t kFormat = Tag(1, 0);
constexpr uint8_t kHeader = Tag(2, 2);
constexpr uint8_t kPut = Tag(3, 2);
// CommandHeader
constexpr uint8_t kMember = Tag(1, 1);
constexpr uint8_t kBootNonce = Tag(2, 1);
constexpr uint8_t kLoop = Tag(3, 0);
constexpr uint8_t kCounter = Tag(4, 0);

bool ReadBool(ByteReader& reader, bool* value) {
  uint64_t number = 0;
  if (!reader.ReadVarint(&number)) return false;
  *value = number != 0;
  return true;
}

bool ReadLease(ByteReader& reader, LeaseId* lease) {
  uint64_t number = 0;
  if (!reader.ReadVarint(&number)) return false;
  *lease = LeaseId(static_cast<int64_t>(number));
  return true;
}

bool ReadPutField(ByteReader& reader, uint8_t tag, PutFields* put) {
  switch (tag) {
    case kKey:
      return reader.ReadLengthPrefixed(&put->key);
    case kValue:
      return reader.ReadLengthPrefixed(&put->value);
    case kLease:
      return ReadLease(reader, &put->lease);
    case kPrevKv:
      return ReadBool(reader, &put->prev_kv);
    case kIgnoreValue:
      return ReadBool(reader, &put->ignore_value);
    case kIgnoreLease:
      return ReadBool(reader, &put->ignore_lease);
    default:
      return false;
  }
}

bool TakeTag(ByteReader& reader, uint8_t tag) {
  if (reader.empty() || static_cast<uint8_t>(reader.rest().front()) != tag) return false;
  return reader.Skip(1);
}

// Numbers that are zero are not there.
bool ReadHeader(std::string_view bytes, RequestId* id) {
  ByteReader reader(bytes);
  uint64_t loop = 0;
  if (TakeTag(reader, kMember) && !reader.ReadLittleEndian64(&id->member)) return false;
  if (TakeTag(reader, kBootNonce) && !reader.ReadLittleEndian64(&id->boot_nonce)) return false;
  if (TakeTag(reader, kLoop) && !reader.ReadVarint(&loop)) return false;
  if (TakeTag(reader, kCounter) && !reader.ReadVarint(&id->counter)) return false;
  if (loop > UINT32_MAX || !reader.empty()) return false;
  id->loop = LoopId(static_cast<uint32_t>(loop));
  return true;
}

void AppendHeader(const RequestId& id, std::string* out) {
  auto fixed = [out](uint8_t tag, uint64_t value) {
    if (value == 0) return;
    AppendU8(out, tag);
    AppendLittleEndian64(out, value);
  };
  auto varint = [out](uint8_t tag, uint64_t value) {
    if (value == 0) return;
    AppendU8(out, tag);
    AppendVarint(out, value);
  };
  fixed(kMember, id.member);
  fixed(kBootNonce, id.boot_nonce);
  varint(kLoop, id.loop.value());
  varint(kCounter, id.counter);
}

// Of a header with its own tag and length, and of the put's.
constexpr size_t kAroundPutMax = 64;

}  // namespace

PutFields FieldsOf(const etcdserverpb::PutRequest& request) {
  return {request.key(),     request.value(),        LeaseId(request.lease()),
          request.prev_kv(), request.ignore_value(), request.ignore_lease()};
}

std::optional<PutFields> ReadPutFields(std::string_view request) {
  PutFields put;
  ByteReader reader(request);
  uint8_t last = 0;
  while (!reader.empty()) {
    uint8_t tag = 0;
    if (!reader.ReadU8(&tag) || tag <= last) return std::nullopt;
    if (!ReadPutField(reader, tag, &put)) return std::nullopt;
    last = tag;
  }
  return put;
}

std::string EncodePutCommand(const RequestId& id, std::string_view request) {
  std::string out;
  out.reserve(kAroundPutMax + request.size());
  AppendU8(&out, kFormat);
  AppendVarint(&out, kCommandFormat);
  AppendU8(&out, kHeader);
  const size_t length_at = out.size();
  AppendU8(&out, 0);  // below 128: the length is this byte
  AppendHeader(id, &out);
  out[length_at] = static_cast<char>(out.size() - length_at - 1);
  AppendU8(&out, kPut);
  AppendLengthPrefixed(&out, request);
  return out;
}

std::optional<PutCommand> ReadPutCommand(std::string_view command) {
  ByteReader reader(command);
  uint64_t format = 0;
  std::string_view header;
  std::string_view request;
  if (!TakeTag(reader, kFormat) || !reader.ReadVarint(&format) || format != kCommandFormat ||
      !TakeTag(reader, kHeader) || !reader.ReadLengthPrefixed(&header) || !TakeTag(reader, kPut) ||
      !reader.ReadLengthPrefixed(&request) || !reader.empty()) {
    return std::nullopt;
  }
  PutCommand found;
  if (!ReadHeader(header, &found.id)) return std::nullopt;
  std::optional<PutFields> put = ReadPutFields(request);
  if (!put) return std::nullopt;
  found.put = *put;
  return found;
}

}  // namespace store::apply
