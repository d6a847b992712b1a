// SPDX-License-Identifier: Apache-2.0
#include "store/apply/put_command.h"

#include "store/apply/command.h"
#include "store/base/wire_fields.h"

#include <cstdint>

namespace store::apply {
namespace {

// PutRequest
constexpr uint32_t kKey = 1;
constexpr uint32_t kValue = 2;
constexpr uint32_t kLease = 3;
constexpr uint32_t kPrevKv = 4;
constexpr uint32_t kIgnoreValue = 5;
constexpr uint32_t kIgnoreLease = 6;
// Command
constexpr uint32_t kFormat = 1;
constexpr uint32_t kHeader = 2;
constexpr uint32_t kPut = 3;
// CommandHeader
constexpr uint32_t kMember = 1;
constexpr uint32_t kBootNonce = 2;
constexpr uint32_t kLoop = 3;
constexpr uint32_t kCounter = 4;

WireType PutFieldType(uint32_t number) {
  return number <= kValue ? WireType::kBytes : WireType::kVarint;
}

bool ReadPutField(const FieldReader& field, PutFields* put) {
  switch (field.number()) {
    case kKey:
      put->key = field.bytes();
      return true;
    case kValue:
      put->value = field.bytes();
      return true;
    case kLease:
      put->lease = LeaseId(static_cast<int64_t>(field.value()));
      return true;
    case kPrevKv:
      put->prev_kv = field.value() != 0;
      return true;
    case kIgnoreValue:
      put->ignore_value = field.value() != 0;
      return true;
    case kIgnoreLease:
      put->ignore_lease = field.value() != 0;
      return true;
    default:
      return false;
  }
}

// The next field is this one.
bool Take(FieldReader& reader, uint32_t number, WireType type) {
  return reader.Next() && reader.number() == number && reader.type() == type;
}

WireType HeaderFieldType(uint32_t number) {
  return number <= kBootNonce ? WireType::kFixed64 : WireType::kVarint;
}

// Numbers that are zero are not there.
bool ReadHeader(std::string_view bytes, RequestId* id) {
  FieldReader reader(bytes);
  uint64_t numbers[kCounter + 1] = {};
  uint32_t last = 0;
  while (reader.Next()) {
    const uint32_t number = reader.number();
    if (number <= last || number > kCounter || reader.type() != HeaderFieldType(number)) {
      return false;
    }
    numbers[number] = reader.value();
    last = number;
  }
  if (reader.malformed() || numbers[kLoop] > UINT32_MAX) return false;
  *id = {numbers[kMember], numbers[kBootNonce], LoopId(static_cast<uint32_t>(numbers[kLoop])),
         numbers[kCounter]};
  return true;
}

void AppendHeader(const RequestId& id, std::string* out) {
  AppendFixed64(out, kMember, id.member);
  AppendFixed64(out, kBootNonce, id.boot_nonce);
  AppendNumber(out, kLoop, id.loop.value());
  AppendNumber(out, kCounter, id.counter);
}

size_t HeaderSize(const RequestId& id) {
  constexpr size_t kFixedSize = 1 + sizeof(uint64_t);
  return (id.member == 0 ? 0 : kFixedSize) + (id.boot_nonce == 0 ? 0 : kFixedSize) +
         NumberSize(kLoop, id.loop.value()) + NumberSize(kCounter, id.counter);
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
  FieldReader reader(request);
  uint32_t last = 0;
  while (reader.Next()) {
    const uint32_t number = reader.number();
    if (number <= last || reader.type() != PutFieldType(number)) return std::nullopt;
    if (!ReadPutField(reader, &put)) return std::nullopt;
    last = number;
  }
  if (reader.malformed()) return std::nullopt;
  return put;
}

std::string EncodePutCommand(const RequestId& id, std::string_view request) {
  std::string out;
  out.reserve(kAroundPutMax + request.size());
  AppendNumber(&out, kFormat, kCommandFormat);
  AppendBytesHead(&out, kHeader, HeaderSize(id));
  AppendHeader(id, &out);
  AppendBytesHead(&out, kPut, request.size());
  out.append(request);
  return out;
}

std::optional<PutCommand> ReadPutCommand(std::string_view command) {
  FieldReader reader(command);
  if (!Take(reader, kFormat, WireType::kVarint) || reader.value() != kCommandFormat) {
    return std::nullopt;
  }
  PutCommand found;
  if (!Take(reader, kHeader, WireType::kBytes) || !ReadHeader(reader.bytes(), &found.id)) {
    return std::nullopt;
  }
  if (!Take(reader, kPut, WireType::kBytes)) return std::nullopt;
  std::optional<PutFields> put = ReadPutFields(reader.bytes());
  if (!put || reader.Next() || reader.malformed()) return std::nullopt;
  found.put = *put;
  return found;
}

}  // namespace store::apply
