// SPDX-License-Identifier: Apache-2.0
// KeyMeta: one key of the index: its newest facts, older ones in a chain of chunks. Immutable. It
// takes 24 bytes and the key; what most keys do not have (older facts, a second version, a lease)
// stands behind the 24 bytes only where there is something to say, because at a million keys these
// bytes are what the member's memory consists of. A chunk of the chain may grow under readers: it
// is append-only, each KeyMeta knows how many of its facts are its own, and readers look only at
// those. So a put costs one small allocation and no copy of history, however long it is. Facts with
// version 0 are a tombstone.
//
// Made and unlinked by the apply thread (through KeyIndex); read by any thread under an epoch
// guard. A key's history is bounded by compaction.
#pragma once

#include "store/mvcc/event.h"

#include <cstddef>
#include <cstdint>
#include <optional>
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

// Older facts of one KeyMeta: the newest chunk, and how many of its facts are meant.
struct History {
  HistoryChunk* chunk = nullptr;  // null: none
  uint32_t count = 0;

  // The facts of the key are going to be pushed: where they will stand is seldom in the cache.
  void Prefetch() const {
    if (chunk == nullptr) return;
    __builtin_prefetch(chunk);
    __builtin_prefetch(chunk->facts() + count);
  }
};

//   mod 8 · sub 4 · value size 4 · key size 4 · parts 1 · key offset 1 · 2 unused
//   [older: chunk 8, count 8]  [life: create 8, version 8]  [lease 8]  key
class KeyMeta {
 public:
  std::string_view key() const { return {base() + key_offset_, key_size_}; }
  bool live() const { return (parts_ & kTombstone) == 0; }
  RecordId mod() const { return {Revision(mod_main_), mod_sub_}; }
  KeyFacts newest() const;
  History history() const;
  size_t bytes() const { return key_offset_ + key_size_; }

  // The last facts with mod <= at, tombstones included; none: the key did not exist yet (or its
  // history there was compacted).
  std::optional<KeyFacts> At(Revision at) const;
  // The same, but none for tombstones.
  std::optional<KeyFacts> LiveAt(Revision at) const;
  // Everything, oldest first.
  void AppendAll(std::vector<KeyFacts>* out) const;
  // Whether a compaction at `at` leaves all of it (KeptByCompaction). Looks at no facts above `at`:
  // collecting a key that is written all the time asks this again and again.
  bool KeptWholeBy(Revision at) const;

  // Not the history's owner: KeyIndex is.
  static KeyMeta* Make(std::string_view key, const KeyFacts& newest, History history);
  static void Destroy(void* meta);

 private:
  static constexpr uint8_t kOlder = 1;
  static constexpr uint8_t kLife = 2;  // else: the first version, created by `mod`; or a tombstone
  static constexpr uint8_t kLease = 4;
  static constexpr uint8_t kTombstone = 8;

  KeyMeta(std::string_view key, const KeyFacts& newest, uint8_t parts);
  static uint8_t PartsOf(const KeyFacts& newest, History history);
  static uint8_t OffsetOf(uint8_t part, uint8_t parts);
  std::vector<History> Chunks() const;  // oldest first
  const char* base() const { return reinterpret_cast<const char*>(this); }
  int64_t Number(size_t offset) const;

  const int64_t mod_main_;
  const uint32_t mod_sub_;
  const uint32_t value_size_;
  const uint32_t key_size_;
  const uint8_t parts_;
  const uint8_t key_offset_;
};

// Of facts in ascending order, those that a compaction at `at` keeps: the newest with mod <= at
// unless it is a tombstone, a tombstone exactly at `at` (until the next compaction; etcd #18089),
// and all above.
std::vector<KeyFacts> KeptByCompaction(const std::vector<KeyFacts>& facts, Revision at);

}  // namespace store::mvcc
