// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/key_index.h"

#include "store/base/check.h"
#include "store/base/coding.h"
#include "store/mvcc/record.h"

#include <algorithm>

namespace store::mvcc {

KeyIndex::~KeyIndex() {
  for (KeyTree::Cursor cursor(tree_.root(), {}); cursor.Valid(); cursor.Next()) {
    Destroy(cursor.item());
  }
  for (const Garbage& garbage : tree_.garbage()) garbage.deleter(garbage.object);
}

// With its history.
void KeyIndex::Destroy(KeyMeta* meta) {
  for (HistoryChunk* chunk = meta->history; chunk != nullptr;) {
    HistoryChunk::Destroy(std::exchange(chunk, chunk->older));
  }
  KeyMeta::Destroy(meta);
}

const KeyFacts* KeyIndex::Find(std::string_view key) const {
  const KeyMeta* meta = KeyTree::Find(tree_.root(), key);
  return meta == nullptr ? nullptr : &meta->newest;
}

void KeyIndex::Add(std::string_view key, const KeyFacts& facts) {
  KeyMeta* old = KeyTree::Find(tree_.root(), key);
  if (old == nullptr) {
    tree_.Set(NewMeta(key, facts), false, IsTombstone(facts) ? 0 : 1);
    return;
  }
  CHECK(old->newest.mod < facts.mod, "{}.{} after {}.{}", facts.mod.main, facts.mod.sub,
        old->newest.mod.main, old->newest.mod.sub);
  const int live_change = (IsTombstone(facts) ? 0 : 1) - (old->live() ? 1 : 0);
  // Also a KeyMeta of this epoch is replaced, not edited: its leaf's live bit changes with it.
  KeyMeta* meta = NewMeta(key, facts);
  meta->history = old->history;
  meta->history_count = old->history_count;
  PushHistory(meta, old->newest);
  tree_.Set(meta, true, live_change);
  Discard(old);
}

KeyIndex::Loader::~Loader() {
  for (const auto& [key, meta] : keys_) Destroy(meta);
}

bool KeyIndex::Loader::Add(std::string_view key, const KeyFacts& facts) {
  auto known = keys_.find(key);
  if (known == keys_.end()) {
    KeyMeta* meta = index_.NewMeta(key, facts);
    keys_.emplace(meta->key(), meta);
    return true;
  }
  KeyMeta* meta = known->second;
  if (meta->newest.mod >= facts.mod) return false;
  // Nobody has seen it: it is changed in place.
  index_.PushHistory(meta, meta->newest);
  meta->newest = facts;
  return true;
}

void KeyIndex::Loader::Finish() {
  // Most comparisons are decided by eight bytes behind what all keys have in common, and those are
  // looked at without going through a pointer.
  struct Row {
    uint64_t prefix;
    KeyMeta* meta;
  };
  size_t common = keys_.empty() ? 0 : keys_.begin()->first.size();
  for (const auto& [key, meta] : keys_) {
    const std::string_view first = keys_.begin()->first;
    common = std::min(common, key.size());
    common = static_cast<size_t>(
        std::mismatch(first.begin(), first.begin() + common, key.begin()).first - first.begin());
  }
  std::vector<Row> rows;
  rows.reserve(keys_.size());
  for (const auto& [key, meta] : keys_) {
    char prefix[8] = {};
    key.substr(common).copy(prefix, sizeof(prefix));
    rows.push_back({LoadBigEndian64(prefix), meta});
  }
  keys_ = {};
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : a.meta->key() < b.meta->key();
  });
  std::vector<KeyMeta*> metas;
  metas.reserve(rows.size());
  for (const Row& row : rows) metas.push_back(row.meta);
  index_.tree_.Load(metas);
}

size_t KeyIndex::Trim(std::string_view key, Revision at) {
  KeyMeta* old = KeyTree::Find(tree_.root(), key);
  if (old == nullptr) return 0;
  std::vector<KeyFacts> all;
  old->AppendAll(&all);
  const std::vector<KeyFacts> kept = KeptByCompaction(all, at);
  if (kept.size() == all.size()) return 0;
  size_t before = 0;
  size_t after = 0;
  for (const KeyFacts& facts : all) before += RecordBytes(key.size(), facts.value_size);
  for (const KeyFacts& facts : kept) after += RecordBytes(key.size(), facts.value_size);
  if (kept.empty()) {
    CHECK(!old->live());
    tree_.Remove(old->key(), 0);
  } else {
    KeyMeta* meta = NewMeta(old->key(), kept.back());
    for (size_t i = 0; i + 1 < kept.size(); ++i) PushHistory(meta, kept[i]);
    tree_.Set(meta, true, 0);
  }
  for (HistoryChunk* chunk = old->history; chunk != nullptr;) {
    Discard(std::exchange(chunk, chunk->older));
  }
  Discard(old);
  return before - after;
}

KeyMeta* KeyIndex::NewMeta(std::string_view key, const KeyFacts& newest) {
  KeyMeta* meta = KeyMeta::Make(key, newest, tree_.epoch());
  key_bytes_ += meta->bytes();
  return meta;
}

void KeyIndex::PushHistory(KeyMeta* meta, const KeyFacts& facts) {
  HistoryChunk* chunk = meta->history;
  if (chunk != nullptr && meta->history_count < chunk->capacity) {
    // Readers of older KeyMetas stop at their own count, so this slot is still the writer's alone.
    chunk->facts()[meta->history_count++] = facts;
    return;
  }
  if (chunk != nullptr && chunk->capacity < HistoryChunk::kCapacityMax) {
    HistoryChunk* wider = HistoryChunk::Make(chunk->capacity * 4);
    for (uint32_t i = 0; i < meta->history_count; ++i) wider->facts()[i] = chunk->facts()[i];
    meta->history = wider;
    key_bytes_ += wider->bytes();
    Discard(chunk);
  } else {
    HistoryChunk* next = HistoryChunk::Make(chunk == nullptr ? 2 : HistoryChunk::kCapacityMax);
    next->older = chunk;
    next->older_count = meta->history_count;
    meta->history = next;
    meta->history_count = 0;
    key_bytes_ += next->bytes();
  }
  meta->history->facts()[meta->history_count++] = facts;
}

size_t KeyIndex::CheckInvariants() const {
  tree_.CheckInvariants();
  size_t key_bytes = 0;
  size_t record_bytes = 0;
  std::vector<KeyFacts> all;
  for (KeyTree::Cursor cursor(tree_.root(), {}); cursor.Valid(); cursor.Next()) {
    const KeyMeta* meta = cursor.item();
    key_bytes += meta->bytes();
    for (HistoryChunk* chunk = meta->history; chunk != nullptr; chunk = chunk->older) {
      key_bytes += chunk->bytes();
    }
    all.clear();
    meta->AppendAll(&all);
    for (size_t i = 0; i < all.size(); ++i) {
      CHECK(i == 0 || all[i - 1].mod < all[i].mod, "key {}", meta->key());
      record_bytes += RecordBytes(meta->key().size(), all[i].value_size);
    }
  }
  CHECK(key_bytes == key_bytes_, "{} bytes of keys, counted {}", key_bytes, key_bytes_);
  return record_bytes;
}

void KeyIndex::Discard(KeyMeta* meta) {
  key_bytes_ -= meta->bytes();
  if (meta->owner == tree_.epoch()) {
    KeyMeta::Destroy(meta);
  } else {
    tree_.garbage().push_back({meta, &KeyMeta::Destroy, meta->bytes()});
  }
}

void KeyIndex::Discard(HistoryChunk* chunk) {
  key_bytes_ -= chunk->bytes();
  tree_.garbage().push_back({chunk, &HistoryChunk::Destroy, chunk->bytes()});
}

}  // namespace store::mvcc
