// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli polynomial, reflected, inverted before and after), equal to Go's
// crc32.Castagnoli and to what iSCSI and RocksDB (unmasked) compute. Uses the processor's
// instruction where there is one, in three interleaved streams because its latency is three cycles;
// otherwise a table. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace store {

// Checksum of the bytes whose checksum is `crc` followed by `data`; 0 is the checksum of nothing.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view data);

inline uint32_t Crc32c(std::string_view data, uint32_t seed = 0) {
  return ExtendCrc32c(seed, data);
}

// The two ways, for tests and benchmarks. The hardware one falls back where the instruction is
// missing.
uint32_t ExtendCrc32cTable(uint32_t crc, std::string_view data);
uint32_t ExtendCrc32cHardware(uint32_t crc, std::string_view data);
bool HasCrc32cHardware();

}  // namespace store
