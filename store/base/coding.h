// SPDX-License-Identifier: Apache-2.0
// Integers and byte strings as bytes: fixed width in big endian (keys that must sort) and little
// endian (everything else), varints (7 bits a byte, low group first, as in protobuf) and
// length-prefixed bytes. Append* never fails. ByteReader reads what came from disk or network: each
// Read returns false on short or malformed input, and then neither the reader nor the target has
// changed. Value types, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace store {

inline constexpr size_t kVarintBytesMax = 10;

void StoreBigEndian32(uint32_t value, char* out);
void StoreBigEndian64(uint64_t value, char* out);
void StoreLittleEndian32(uint32_t value, char* out);
void StoreLittleEndian64(uint64_t value, char* out);
uint32_t LoadBigEndian32(const char* in);
uint64_t LoadBigEndian64(const char* in);
uint32_t LoadLittleEndian32(const char* in);
uint64_t LoadLittleEndian64(const char* in);

void AppendU8(std::string* out, uint8_t value);
void AppendBigEndian16(std::string* out, uint16_t value);
void AppendBigEndian32(std::string* out, uint32_t value);
void AppendBigEndian64(std::string* out, uint64_t value);
void AppendLittleEndian16(std::string* out, uint16_t value);
void AppendLittleEndian32(std::string* out, uint32_t value);
void AppendLittleEndian64(std::string* out, uint64_t value);
void AppendVarint(std::string* out, uint64_t value);
// Varint of the length, then the bytes.
void AppendLengthPrefixed(std::string* out, std::string_view bytes);
// Bytes that AppendVarint writes for `value`.
size_t VarintSize(uint64_t value);

// Signed numbers of small magnitude as small varints.
constexpr uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// The bytes must outlive the reader and every view read from it.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ReadU8(uint8_t* value);
  [[nodiscard]] bool ReadBigEndian16(uint16_t* value);
  [[nodiscard]] bool ReadBigEndian32(uint32_t* value);
  [[nodiscard]] bool ReadBigEndian64(uint64_t* value);
  [[nodiscard]] bool ReadLittleEndian16(uint16_t* value);
  [[nodiscard]] bool ReadLittleEndian32(uint32_t* value);
  [[nodiscard]] bool ReadLittleEndian64(uint64_t* value);
  // Refuses more than ten bytes and bits above the 64th.
  [[nodiscard]] bool ReadVarint(uint64_t* value);
  [[nodiscard]] bool ReadBytes(size_t size, std::string_view* bytes);
  [[nodiscard]] bool ReadLengthPrefixed(std::string_view* bytes);
  [[nodiscard]] bool Skip(size_t size);

  bool empty() const { return position_ == bytes_.size(); }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  std::string_view rest() const { return bytes_.substr(position_); }

 private:
  std::string_view bytes_;
  size_t position_ = 0;  // <= bytes_.size()
};

}  // namespace store
