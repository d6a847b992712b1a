// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/key_meta.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

namespace store::mvcc {

// Facts are copied and dropped as bytes.
static_assert(std::is_trivially_copyable_v<KeyFacts> && std::is_trivially_destructible_v<KeyFacts>);
static_assert(sizeof(HistoryChunk) % alignof(KeyFacts) == 0);

HistoryChunk* HistoryChunk::Make(uint32_t capacity) {
  void* memory = ::operator new(sizeof(HistoryChunk) + capacity * sizeof(KeyFacts));
  auto* chunk = new (memory) HistoryChunk{nullptr, 0, capacity};
  for (uint32_t i = 0; i < capacity; ++i) new (chunk->facts() + i) KeyFacts();
  return chunk;
}

void HistoryChunk::Destroy(void* chunk) { ::operator delete(chunk); }

KeyMeta* KeyMeta::Make(std::string_view key, const KeyFacts& newest, uint64_t owner) {
  void* memory = ::operator new(sizeof(KeyMeta) + key.size());
  auto* meta = new (memory) KeyMeta{newest, nullptr, owner, 0, static_cast<uint32_t>(key.size())};
  if (!key.empty()) std::memcpy(reinterpret_cast<char*>(meta + 1), key.data(), key.size());
  return meta;
}

void KeyMeta::Destroy(void* meta) { ::operator delete(meta); }

const KeyFacts* KeyMeta::At(Revision at) const {
  if (newest.mod.main <= at) return &newest;
  const HistoryChunk* chunk = history;
  uint32_t count = history_count;
  while (chunk != nullptr) {
    const KeyFacts* begin = chunk->facts();
    if (count > 0 && begin->mod.main <= at) {
      const KeyFacts* above = std::upper_bound(
          begin, begin + count, at,
          [](Revision revision, const KeyFacts& facts) { return revision < facts.mod.main; });
      return above - 1;
    }
    count = chunk->older_count;
    chunk = chunk->older;
  }
  return nullptr;
}

void KeyMeta::AppendAll(std::vector<KeyFacts>* out) const {
  std::vector<std::pair<const HistoryChunk*, uint32_t>> chunks;
  uint32_t count = history_count;
  for (const HistoryChunk* chunk = history; chunk != nullptr; chunk = chunk->older) {
    chunks.emplace_back(chunk, count);
    count = chunk->older_count;
  }
  for (auto it = chunks.rbegin(); it != chunks.rend(); ++it) {
    out->insert(out->end(), it->first->facts(), it->first->facts() + it->second);
  }
  out->push_back(newest);
}

std::vector<KeyFacts> KeptByCompaction(const std::vector<KeyFacts>& facts, Revision at) {
  std::vector<KeyFacts> kept;
  for (size_t i = 0; i < facts.size(); ++i) {
    const Revision mod = facts[i].mod.main;
    const bool superseded = i + 1 < facts.size() && facts[i + 1].mod.main <= at;
    const bool keep = mod > at || (IsTombstone(facts[i]) ? mod == at : !superseded);
    if (keep) kept.push_back(facts[i]);
  }
  return kept;
}

}  // namespace store::mvcc
