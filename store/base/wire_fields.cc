// SPDX-License-Identifier: Apache-2.0
#include "store/base/wire_fields.h"

namespace store {
namespace {

constexpr uint64_t kFieldNumberMax = (1 << 29) - 1;

uint64_t Tag(uint32_t field, WireType type) {
  return (static_cast<uint64_t>(field) << 3) | static_cast<uint64_t>(type);
}

}  // namespace

void AppendNumber(std::string* out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  AppendVarint(out, Tag(field, WireType::kVarint));
  AppendVarint(out, value);
}

void AppendFixed64(std::string* out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  AppendVarint(out, Tag(field, WireType::kFixed64));
  char bytes[8];
  StoreLittleEndian64(value, bytes);
  out->append(bytes, sizeof bytes);
}

void AppendBytesHead(std::string* out, uint32_t field, size_t bytes) {
  AppendVarint(out, Tag(field, WireType::kBytes));
  AppendVarint(out, bytes);
}

size_t NumberSize(uint32_t field, uint64_t value) {
  return value == 0 ? 0 : VarintSize(Tag(field, WireType::kVarint)) + VarintSize(value);
}

size_t BytesHeadSize(uint32_t field, size_t bytes) {
  return VarintSize(Tag(field, WireType::kBytes)) + VarintSize(bytes);
}

bool FieldReader::Next() {
  if (malformed_ || in_.empty()) return false;
  malformed_ = true;
  uint64_t tag = 0;
  if (!in_.ReadVarint(&tag) || (tag >> 3) == 0 || (tag >> 3) > kFieldNumberMax) return false;
  number_ = static_cast<uint32_t>(tag >> 3);
  switch (tag & 7) {
    case static_cast<uint64_t>(WireType::kVarint):
      type_ = WireType::kVarint;
      malformed_ = !in_.ReadVarint(&value_);
      break;
    case static_cast<uint64_t>(WireType::kFixed64):
      type_ = WireType::kFixed64;
      malformed_ = !in_.ReadLittleEndian64(&value_);
      break;
    case static_cast<uint64_t>(WireType::kBytes):
      type_ = WireType::kBytes;
      malformed_ = !in_.ReadLengthPrefixed(&bytes_);
      break;
    case static_cast<uint64_t>(WireType::kFixed32): {
      uint32_t narrow = 0;
      type_ = WireType::kFixed32;
      malformed_ = !in_.ReadLittleEndian32(&narrow);
      value_ = narrow;
      break;
    }
    default:
      break;  // groups are of another age
  }
  return !malformed_;
}

}  // namespace store
