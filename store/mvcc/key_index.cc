// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/key_index.h"

#include "store/base/check.h"
#include "store/mvcc/record.h"

namespace store::mvcc {

KeyIndex::~KeyIndex() {
  for (KeyTree::Cursor cursor(tree_.root(), {}); cursor.Valid(); cursor.Next()) {
    KeyMeta* meta = cursor.item();
    for (HistoryChunk* chunk = meta->history; chunk != nullptr;) {
      HistoryChunk::Destroy(std::exchange(chunk, chunk->older));
    }
    KeyMeta::Destroy(meta);
  }
  for (const Garbage& garbage : tree_.garbage()) garbage.deleter(garbage.object);
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
