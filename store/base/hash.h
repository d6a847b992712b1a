// SPDX-License-Identifier: Apache-2.0
// Hash of bytes: XXH3, 64 bits. For hash maps, fingerprints of files and sampling; not for anything
// an attacker must not forge, and where bytes are stored for later, crc32c.h is what guards them.
// The value for a seed is the same in every build, so it may be written to disk. Pure functions,
// any thread.
//
//   absl::flat_hash_map<std::string, Row, BytesHash, BytesEq> rows;
//   rows.find(std::string_view(...));      // no temporary string
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace store {

inline uint64_t HashBytes(std::string_view bytes, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// Transparent: std::string, std::string_view and SharedBytes find each other.
struct BytesHash {
  using is_transparent = void;
  size_t operator()(std::string_view bytes) const { return HashBytes(bytes); }
};
struct BytesEq {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
};

}  // namespace store
