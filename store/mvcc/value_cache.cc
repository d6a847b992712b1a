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
// If even fewer are found, only one set of so many is looked at: both looks and the copy cost a
// fortieth of a range of 5 M keys. The sample has its share of the room, so its hits are as many as
// all would have.
constexpr uint32_t kMissesForHitWarm = 16;
constexpr uint64_t kSampleOf = 8;
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
      shard_sets_(std::bit_ceil(std::max<size_t>(shard_bytes_max_ / kUsualBytes, kWays)) / kWays) {}

bool ValueCache::PassesBy(const Shard& shard, uint64_t hash) {
  return shard.cold.load(std::memory_order_relaxed) && hash % kSampleOf != 0;
}

void ValueCache::Judge(Shard& shard) {
  shard.cold.store(shard.hits < shard.misses / kMissesForHitWarm, std::memory_order_relaxed);
}

SharedBytes ValueCache::Find(RecordId id) {
  const uint64_t hash = Mix(id);
  Shard& shard = shards_[hash >> 60];
  if (PassesBy(shard, hash)) return {};
  MutexLock lock(shard.mutex);
  if (shard.sets.empty()) return {};
  const Set& set = shard.sets[hash & (shard_sets_ - 1)];
  for (size_t way = 0; way < kWays; ++way) {
    if (set.ids[way] != id) continue;
    ++shard.hits;
    if (shard.cold.load(std::memory_order_relaxed)) Judge(shard);
    return set.values[way];
  }
  if (++shard.misses + shard.hits > kLooksMax) {
    shard.misses /= 2;
    shard.hits /= 2;
    Judge(shard);
  }
  return {};
}

void ValueCache::Prefetch(RecordId id) {
  const uint64_t hash = Mix(id);
  Shard& shard = shards_[hash >> 60];
  if (PassesBy(shard, hash)) return;
  MutexLock lock(shard.mutex);
  if (!shard.sets.empty()) __builtin_prefetch(&shard.sets[hash & (shard_sets_ - 1)].ids);
}

void ValueCache::Add(RecordId id, const SharedBytes& value) {
  if (value.empty() || value.size() > kValueBytesMax || CostOf(value) > shard_bytes_max_) return;
  const uint64_t hash = Mix(id);
  Shard& shard = shards_[hash >> 60];
  if (PassesBy(shard, hash)) return;
  MutexLock lock(shard.mutex);
  if (shard.sets.empty()) shard.sets.resize(shard_sets_);
  Set& set = shard.sets[hash & (shard_sets_ - 1)];
  size_t place = shard.way++ % kWays;
  for (size_t way = 0; way < kWays; ++way) {
    if (set.ids[way] == id) return;
    if (!set.ids[way].valid()) place = way;
  }
  const bool full = set.ids[place].valid() || shard.bytes + CostOf(value) > shard_bytes_max_;
  const bool read_once = shard.hits < shard.misses / kMissesForHit;
  if (full && read_once && shard.offered++ % kOneOf != 0) return;
  Drop(shard, set, place);
  while (shard.bytes + CostOf(value) > shard_bytes_max_) {
    const size_t slot = shard.hand++ % (shard_sets_ * kWays);
    Drop(shard, shard.sets[slot / kWays], slot % kWays);
  }
  set.ids[place] = id;
  set.values[place] = value;
  shard.bytes += CostOf(value);
  bytes_.fetch_add(CostOf(value), std::memory_order_relaxed);
}

void ValueCache::Drop(Shard& shard, Set& set, size_t way) {
  if (!set.ids[way].valid()) return;
  const size_t cost = CostOf(set.values[way]);
  shard.bytes -= cost;
  bytes_.fetch_sub(cost, std::memory_order_relaxed);
  set.ids[way] = {};
  set.values[way] = {};
}

void ValueCache::Clear() {
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (Set& set : shard.sets) {
      for (size_t way = 0; way < kWays; ++way) Drop(shard, set, way);
    }
  }
}

}  // namespace store::mvcc
