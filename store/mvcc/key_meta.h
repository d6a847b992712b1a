// SPDX-License-Identifier: Apache-2.0
// KeyMeta: one key of the index: its newest facts in place, older ones in a chain of chunks. A
// published KeyMeta never changes, but its newest chunk may grow: a chunk is append-only, each
// KeyMeta knows how many of its facts are its own, and readers look only at those. So a put costs
// one small allocation and no copy of history, however long it is. Facts with version 0 are a
// tombstone.
//
// Made, changed and unlinked by the apply thread (through KeyIndex); read by any thread under an
// epoch guard. A key's history is bounded by compaction.
#pragma once

#include "store/mvcc/event.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace store::mvcc {

inline bool IsTombstone(const KeyFacts& facts) { return facts.version == 0; }

// Facts stand behind the struct. Capacities 2, 8, 32: most keys have a short history.
struct HistoryChunk {
  static constexpr uint32_t kCapacityMax = 32;

  HistoryChunk* older;   // null: none
  uint32_t older_count;  // facts in it
  uint32_t capacity;

  KeyFacts* facts() { return reinterpret_cast<KeyFacts*>(this + 1); }
  const KeyFacts* facts() const { return reinterpret_cast<const KeyFacts*>(this + 1); }
  size_t bytes() const { return sizeof(HistoryChunk) + capacity * sizeof(KeyFacts); }

  static HistoryChunk* Make(uint32_t capacity);
  static void Destroy(void* chunk);
};

// The key's bytes stand behind the struct.
struct KeyMeta {
  KeyFacts newest;
  HistoryChunk* history;   // null: none
  uint64_t owner;          // index epoch it was made in
  uint32_t history_count;  // facts in `history` that belong to this KeyMeta
  uint32_t key_size;

  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_size}; }
  bool live() const { return !IsTombstone(newest); }
  size_t bytes() const { return sizeof(KeyMeta) + key_size; }

  // The last facts with mod <= at, tombstones included; null: the key did not exist yet (or its
  // history there was compacted).
  const KeyFacts* At(Revision at) const;
  // The same, but null for tombstones.
  const KeyFacts* LiveAt(Revision at) const {
    const KeyFacts* facts = At(at);
    return facts != nullptr && !IsTombstone(*facts) ? facts : nullptr;
  }
  // Everything, oldest first.
  void AppendAll(std::vector<KeyFacts>* out) const;

  static KeyMeta* Make(std::string_view key, const KeyFacts& newest, uint64_t owner);
  static void Destroy(void* meta);
};

// Of facts in ascending order, those that a compaction at `at` keeps: the newest with mod <= at
// unless it is a tombstone, a tombstone exactly at `at` (until the next compaction; etcd #18089),
// and all above.
std::vector<KeyFacts> KeptByCompaction(const std::vector<KeyFacts>& facts, Revision at);

}  // namespace store::mvcc
