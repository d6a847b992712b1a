// SPDX-License-Identifier: Apache-2.0
// ValueCache: values that were read lately, by the record they belong to. A record's value never
// changes, so nothing is ever invalidated; what was compacted is refused before anybody looks here.
// It saves the engine's search (a skip list or a block, 3-5 µs a value) for keys that are read
// again and again. Where hardly anything is found it is passed by, but for a sample that tells when
// that changes. Any thread, but apply does not use it: readers share no lock with the writer.
// Bounded by `bytes_max`, overhead included; a value above kValueBytesMax is not kept. Memory is
// taken as it fills.
#pragma once

#include "store/base/bytes.h"
#include "store/base/thread.h"
#include "store/mvcc/revision.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace store::mvcc {

class ValueCache {
 public:
  static constexpr size_t kValueBytesMax = 2 << 20;

  explicit ValueCache(size_t bytes_max);
  ValueCache(const ValueCache&) = delete;
  ValueCache& operator=(const ValueCache&) = delete;

  // Empty: not here.
  SharedBytes Find(RecordId id);
  // Asks for the memory that Find looks at, to be there when it does.
  void Prefetch(RecordId id);
  void Add(RecordId id, const SharedBytes& value);
  void Clear();

  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  size_t bytes_max() const { return shard_bytes_max_ * kShards; }

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kWays = 4;
  // The ids side by side in one cache line: most looks find nothing and touch no more.
  struct alignas(64) Set {
    std::array<RecordId, kWays> ids;
    std::array<SharedBytes, kWays> values;
  };
  static_assert(kWays * sizeof(RecordId) == 64);
  struct alignas(64) Shard {
    std::atomic<bool> cold{false};  // only a sample of the sets is used
    Mutex mutex;
    std::vector<Set> sets ABSL_GUARDED_BY(mutex);
    size_t bytes ABSL_GUARDED_BY(mutex) = 0;
    size_t hand ABSL_GUARDED_BY(mutex) = 0;     // goes round when there are too many bytes
    size_t way ABSL_GUARDED_BY(mutex) = 0;      // the next to give way in a full set
    size_t offered ABSL_GUARDED_BY(mutex) = 0;  // while it was full of what is read once
    uint32_t hits ABSL_GUARDED_BY(mutex) = 0;
    uint32_t misses ABSL_GUARDED_BY(mutex) = 0;
  };

  static bool PassesBy(const Shard& shard, uint64_t hash);
  static void Judge(Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void Drop(Shard& shard, Set& set, size_t way) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const size_t shard_bytes_max_;
  const size_t shard_sets_;
  std::array<Shard, kShards> shards_;
  std::atomic<size_t> bytes_ = 0;
};

}  // namespace store::mvcc
