// SPDX-License-Identifier: Apache-2.0
#include "store/base/crc32c.h"

#include "store/base/coding.h"

#include <array>
#include <cstddef>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace store {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

using Table = std::array<uint32_t, 256>;

constexpr std::array<Table, 8> MakeSliceTables() {
  std::array<Table, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (size_t slice = 1; slice < 8; ++slice) {
    for (size_t i = 0; i < 256; ++i) {
      uint32_t crc = tables[slice - 1][i];
      tables[slice][i] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kSlices = MakeSliceTables();

uint32_t TableLoop(uint32_t state, const char* data, size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word = LoadLittleEndian64(data) ^ state;
    state = 0;
    for (size_t i = 0; i < 8; ++i) state ^= kSlices[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; size > 0; ++data, --size) {
    state = (state >> 8) ^ kSlices[0][(state ^ static_cast<unsigned char>(*data)) & 0xff];
  }
  return state;
}

#if defined(__x86_64__)

// The state after `state` and a run of zero bytes is linear in `state` over GF(2), so four tables,
// one for each byte of it, give it for one length of run. That is how the three streams are joined.
using ZeroRun = std::array<Table, 4>;

constexpr ZeroRun MakeZeroRun(size_t bytes) {
  std::array<uint32_t, 32> columns{};
  for (size_t bit = 0; bit < 32; ++bit) {
    uint32_t state = uint32_t{1} << bit;
    // One zero byte; squared below.
    for (int i = 0; i < 8; ++i) state = (state >> 1) ^ ((state & 1) != 0 ? kPolynomial : 0);
    columns[bit] = state;
  }
  for (size_t length = 1; length < bytes; length *= 2) {
    std::array<uint32_t, 32> squared{};
    for (size_t bit = 0; bit < 32; ++bit) {
      for (size_t i = 0; i < 32; ++i)
        squared[bit] ^= ((columns[bit] >> i) & 1) != 0 ? columns[i] : 0;
    }
    columns = squared;
  }
  ZeroRun run{};
  for (size_t byte = 0; byte < 4; ++byte) {
    for (size_t value = 0; value < 256; ++value) {
      for (size_t bit = 0; bit < 8; ++bit) {
        run[byte][value] ^= ((value >> bit) & 1) != 0 ? columns[8 * byte + bit] : 0;
      }
    }
  }
  return run;
}

// Powers of two, as the squaring above needs.
constexpr size_t kLongStream = 4096;
constexpr size_t kShortStream = 256;
constexpr ZeroRun kLongZeros = MakeZeroRun(kLongStream);
constexpr ZeroRun kShortZeros = MakeZeroRun(kShortStream);

uint64_t AfterZeros(const ZeroRun& run, uint64_t state) {
  return run[0][state & 0xff] ^ run[1][(state >> 8) & 0xff] ^ run[2][(state >> 16) & 0xff] ^
         run[3][(state >> 24) & 0xff];
}

__attribute__((target("sse4.2"))) uint64_t ThreeStreams(const ZeroRun& run, size_t stream_bytes,
                                                        uint64_t state, const char* data) {
  uint64_t second = 0;
  uint64_t third = 0;
  for (const char* end = data + stream_bytes; data < end; data += 8) {
    state = _mm_crc32_u64(state, LoadLittleEndian64(data));
    second = _mm_crc32_u64(second, LoadLittleEndian64(data + stream_bytes));
    third = _mm_crc32_u64(third, LoadLittleEndian64(data + 2 * stream_bytes));
  }
  return AfterZeros(run, AfterZeros(run, state) ^ second) ^ third;
}

__attribute__((target("sse4.2"))) uint32_t HardwareLoop(uint32_t start, const char* data,
                                                        size_t size) {
  uint64_t state = start;
  for (; size >= 3 * kLongStream; data += 3 * kLongStream, size -= 3 * kLongStream) {
    state = ThreeStreams(kLongZeros, kLongStream, state, data);
  }
  for (; size >= 3 * kShortStream; data += 3 * kShortStream, size -= 3 * kShortStream) {
    state = ThreeStreams(kShortZeros, kShortStream, state, data);
  }
  for (; size >= 8; data += 8, size -= 8) state = _mm_crc32_u64(state, LoadLittleEndian64(data));
  auto tail = static_cast<uint32_t>(state);
  for (; size > 0; ++data, --size) tail = _mm_crc32_u8(tail, static_cast<unsigned char>(*data));
  return tail;
}

#endif

}  // namespace

bool HasCrc32cHardware() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
#else
  return false;
#endif
}

uint32_t ExtendCrc32cTable(uint32_t crc, std::string_view data) {
  return ~TableLoop(~crc, data.data(), data.size());
}

uint32_t ExtendCrc32cHardware(uint32_t crc, std::string_view data) {
#if defined(__x86_64__)
  if (HasCrc32cHardware()) return ~HardwareLoop(~crc, data.data(), data.size());
#endif
  return ExtendCrc32cTable(crc, data);
}

uint32_t ExtendCrc32c(uint32_t crc, std::string_view data) {
  return ExtendCrc32cHardware(crc, data);
}

}  // namespace store
