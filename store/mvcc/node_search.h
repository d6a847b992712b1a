// SPDX-License-Identifier: Apache-2.0
// What a node of the tree keeps beside its pointers so that a search does not have to follow them:
// every key that is only compared and not wanted is a cache miss, and at millions of keys those are
// most of what a lookup costs. A leaf keeps a tag of each key (one byte of its hash: an exact
// search looks at one item, rarely at two), an inner node what all its separators begin with and
// the head of each (the eight bytes behind that). And what a search is going to look at is asked
// for before it is needed, all at once. Pure functions, any thread.
#pragma once

#include "store/base/coding.h"
#include "store/base/hash.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

namespace store::mvcc {

using KeyTag = uint8_t;
inline KeyTag TagOf(std::string_view key) { return static_cast<KeyTag>(HashBytes(key) >> 56); }

// Bit i: tags[i] == tag. Eight at a time in one word, whatever the processor.
inline uint64_t MatchingTags(const KeyTag (&tags)[64], KeyTag tag) {
  static_assert(std::endian::native == std::endian::little);
  constexpr uint64_t kLow = 0x0101010101010101;
  constexpr uint64_t kSevenBits = 0x7F7F7F7F7F7F7F7F;
  uint64_t found = 0;
  for (size_t word = 0; word < 8; ++word) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, tags + 8 * word, sizeof(bytes));
    bytes ^= kLow * tag;
    // 1 in each byte that is zero; nothing is carried from byte to byte.
    const uint64_t zeros = ~(((bytes & kSevenBits) + kSevenBits) | bytes | kSevenBits) >> 7;
    // The eight ones side by side in the highest byte.
    found |= (zeros * 0x0102040810204080 >> 56) << (8 * word);
  }
  return found;
}

// Its order is that of the strings unless heads are equal.
inline uint64_t HeadOf(std::string_view bytes) {
  char head[8] = {};
  bytes.substr(0, sizeof(head)).copy(head, sizeof(head));
  return LoadBigEndian64(head);
}

// Asks for what starts at `memory`, to be there when it is read. It may end earlier: nothing
// faults.
inline void Prefetch(const void* memory, size_t bytes) {
  constexpr size_t kLineBytes = 64;
  for (size_t at = 0; at < bytes; at += kLineBytes) {
    __builtin_prefetch(static_cast<const char*>(memory) + at);
  }
}

// Also to a place that overlaps.
template <class T>
void MoveValues(const T* from, size_t count, T* to) {
  if (std::less<const T*>()(to, from)) {
    std::copy_n(from, count, to);
  } else {
    std::copy_backward(from, from + count, to + count);
  }
}

inline size_t CommonPrefix(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + size, b.begin()).first -
                             a.begin());
}

}  // namespace store::mvcc
