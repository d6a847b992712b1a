// SPDX-License-Identifier: Apache-2.0
#include "store/base/coding.h"

#include <bit>
#include <concepts>
#include <cstring>

namespace store {
namespace {

static_assert(std::endian::native == std::endian::little,
              "only little-endian machines are built for");

template <std::unsigned_integral T>
T Swapped(T value) {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
T LoadLittle(const char* in) {
  T value;
  std::memcpy(&value, in, sizeof(value));
  return value;
}

template <std::unsigned_integral T>
void AppendLittle(std::string* out, T value) {
  char bytes[sizeof(value)];
  std::memcpy(bytes, &value, sizeof(value));
  out->append(bytes, sizeof(value));
}

template <std::unsigned_integral T>
bool ReadLittle(ByteReader* reader, T* value) {
  std::string_view bytes;
  if (!reader->ReadBytes(sizeof(T), &bytes)) return false;
  *value = LoadLittle<T>(bytes.data());
  return true;
}

template <std::unsigned_integral T>
bool ReadBig(ByteReader* reader, T* value) {
  if (!ReadLittle(reader, value)) return false;
  *value = Swapped(*value);
  return true;
}

}  // namespace

void StoreLittleEndian32(uint32_t value, char* out) { std::memcpy(out, &value, sizeof(value)); }
void StoreLittleEndian64(uint64_t value, char* out) { std::memcpy(out, &value, sizeof(value)); }
void StoreBigEndian32(uint32_t value, char* out) { StoreLittleEndian32(Swapped(value), out); }
void StoreBigEndian64(uint64_t value, char* out) { StoreLittleEndian64(Swapped(value), out); }
uint32_t LoadLittleEndian32(const char* in) { return LoadLittle<uint32_t>(in); }
uint64_t LoadLittleEndian64(const char* in) { return LoadLittle<uint64_t>(in); }
uint32_t LoadBigEndian32(const char* in) { return Swapped(LoadLittle<uint32_t>(in)); }
uint64_t LoadBigEndian64(const char* in) { return Swapped(LoadLittle<uint64_t>(in)); }

void AppendU8(std::string* out, uint8_t value) { out->push_back(static_cast<char>(value)); }
void AppendBigEndian16(std::string* out, uint16_t value) { AppendLittle(out, Swapped(value)); }
void AppendBigEndian32(std::string* out, uint32_t value) { AppendLittle(out, Swapped(value)); }
void AppendBigEndian64(std::string* out, uint64_t value) { AppendLittle(out, Swapped(value)); }
void AppendLittleEndian16(std::string* out, uint16_t value) { AppendLittle(out, value); }
void AppendLittleEndian32(std::string* out, uint32_t value) { AppendLittle(out, value); }
void AppendLittleEndian64(std::string* out, uint64_t value) { AppendLittle(out, value); }

void AppendVarint(std::string* out, uint64_t value) {
  char bytes[kVarintBytesMax];
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out->append(bytes, size);
}

void AppendLengthPrefixed(std::string* out, std::string_view bytes) {
  AppendVarint(out, bytes.size());
  out->append(bytes);
}

size_t VarintSize(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

bool ByteReader::ReadU8(uint8_t* value) { return ReadLittle(this, value); }
bool ByteReader::ReadBigEndian16(uint16_t* value) { return ReadBig(this, value); }
bool ByteReader::ReadBigEndian32(uint32_t* value) { return ReadBig(this, value); }
bool ByteReader::ReadBigEndian64(uint64_t* value) { return ReadBig(this, value); }
bool ByteReader::ReadLittleEndian16(uint16_t* value) { return ReadLittle(this, value); }
bool ByteReader::ReadLittleEndian32(uint32_t* value) { return ReadLittle(this, value); }
bool ByteReader::ReadLittleEndian64(uint64_t* value) { return ReadLittle(this, value); }

bool ByteReader::ReadVarint(uint64_t* value) {
  uint64_t result = 0;
  for (size_t i = 0; i < kVarintBytesMax && i < remaining(); ++i) {
    auto byte = static_cast<uint8_t>(bytes_[position_ + i]);
    if (i == kVarintBytesMax - 1 && byte > 1) return false;
    result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      position_ += i + 1;
      *value = result;
      return true;
    }
  }
  return false;
}

bool ByteReader::ReadBytes(size_t size, std::string_view* bytes) {
  if (size > remaining()) return false;
  *bytes = bytes_.substr(position_, size);
  position_ += size;
  return true;
}

bool ByteReader::ReadLengthPrefixed(std::string_view* bytes) {
  size_t start = position_;
  uint64_t size = 0;
  if (ReadVarint(&size) && ReadBytes(size, bytes)) return true;
  position_ = start;
  return false;
}

bool ByteReader::Skip(size_t size) {
  std::string_view ignored;
  return ReadBytes(size, &ignored);
}

}  // namespace store
