// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/value_cache.h"

#include <algorithm>
#include <bit>

namespace store::mvcc {
namespace {

// The string, its control block and the allocator's rounding.
constexpr size_t kOverhead = 96;
// Slots are made for values of this size; smaller ones fill the slots first, larger ones the bytes.
constexpr size_t kUsualBytes = 384;

size_t CostOf(const SharedBytes& value) { return value.size() + kOverhead; }

// While most of what is looked for is not here, a full shard takes one of so many values: what is
// read once does not drive out what is read again, and saves an allocation, a copy and a
// deallocation each.
constexpr size_t kOneOf = 8;
constexpr uint32_t kMissesForHit = 4;
// After so many looks the older half counts less.
constexpr uint32_t kLooksMax = 4096;

// Neighbouring revisions go to different shards and sets.
uint64_t Mix(RecordId id) {
  uint64_t hash = static_cast<uint64_t>(id.main.value()) * 0x9E3779B97F4A7C15ULL + id.sub;
  hash ^= hash >> 32;
  return hash * 0xD6E8FEB86659FD93ULL;
}

}  // namespace

ValueCache::ValueCache(size_t bytes_max)
    : shard_bytes_max_(bytes_max / kShards),
      shard_slots_(std::bit_ceil(std::max<size_t>(shard_bytes_max_ / kUsualBytes, kWays))) {}

SharedBytes ValueCache::Find(RecordId id) {
  const uint64_t hash = Mix(id);
  Shard& shard = shards_[hash >> 60];
  MutexLock lock(shard.mutex);
  if (shard.slots.empty()) return {};
  const size_t set = (hash & (shard_slots_ - 1)) & ~(kWays - 1);
  for (size_t i = set; i < set + kWays; ++i) {
    if (shard.slots[i].id != id) continue;
    ++shard.hits;
    return shard.slots[i].value;
  }
  if (++shard.misses + shard.hits > kLooksMax) {
    shard.misses /= 2;
    shard.hits /= 2;
  }
  return {};
}

void ValueCache::Add(RecordId id, const SharedBytes& value) {
  if (value.empty() || value.size() > kValueBytesMax || CostOf(value) > shard_bytes_max_) return;
  const uint64_t hash = Mix(id);
  Shard& shard = shards_[hash >> 60];
  MutexLock lock(shard.mutex);
  if (shard.slots.empty()) shard.slots.resize(shard_slots_);
  const size_t set = (hash & (shard_slots_ - 1)) & ~(kWays - 1);
  Slot* place = &shard.slots[set + shard.way++ % kWays];
  for (size_t i = set; i < set + kWays; ++i) {
    if (shard.slots[i].id == id) return;
    if (shard.slots[i].value.empty()) place = &shard.slots[i];
  }
  const bool full = !place->value.empty() || shard.bytes + CostOf(value) > shard_bytes_max_;
  const bool read_once = shard.hits < shard.misses / kMissesForHit;
  if (full && read_once && shard.offered++ % kOneOf != 0) return;
  Drop(shard, *place);
  while (shard.bytes + CostOf(value) > shard_bytes_max_) {
    Drop(shard, shard.slots[shard.hand++ % shard_slots_]);
  }
  *place = {id, value};
  shard.bytes += CostOf(value);
  bytes_.fetch_add(CostOf(value), std::memory_order_relaxed);
}

void ValueCache::Drop(Shard& shard, Slot& slot) {
  if (slot.value.empty()) return;
  const size_t cost = CostOf(slot.value);
  shard.bytes -= cost;
  bytes_.fetch_sub(cost, std::memory_order_relaxed);
  slot = {};
}

void ValueCache::Clear() {
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (Slot& slot : shard.slots) Drop(shard, slot);
  }
}

}  // namespace store::mvcc
