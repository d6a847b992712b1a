// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format, as far as frames and puts need it: fields are written and read by hand
// where a message is on the path of every entry, so that an entry's bytes are neither copied to
// send them nor copied twice to receive them. Pure, any thread. A reader holds a view of its input.
#pragma once

#include "store/base/coding.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace store {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Zero is the default of every number and is left out.
void AppendNumber(std::string* out, uint32_t field, uint64_t value);
void AppendFixed64(std::string* out, uint32_t field, uint64_t value);
// Tag and length of what is `bytes` long and follows.
void AppendBytesHead(std::string* out, uint32_t field, size_t bytes);
size_t NumberSize(uint32_t field, uint64_t value);
size_t BytesHeadSize(uint32_t field, size_t bytes);

class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : in_(message) {}

  // The next field; false at the end or at what is no field: malformed() tells them apart.
  bool Next();
  bool malformed() const { return malformed_; }
  uint32_t number() const { return number_; }
  WireType type() const { return type_; }
  uint64_t value() const { return value_; }          // kVarint, kFixed64, kFixed32
  std::string_view bytes() const { return bytes_; }  // kBytes

 private:
  ByteReader in_;
  bool malformed_ = false;
  uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  uint64_t value_ = 0;
  std::string_view bytes_;
};

}  // namespace store
