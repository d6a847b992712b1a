// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/key_index.h"

#include "store/base/check.h"
#include "store/base/coding.h"
#include "store/base/hash.h"
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
  for (HistoryChunk* chunk = meta->history().chunk; chunk != nullptr;) {
    HistoryChunk::Destroy(std::exchange(chunk, chunk->older));
  }
  KeyMeta::Destroy(meta);
}

KeyMeta* KeyIndex::Find(std::string_view key) const {
  KeyMeta* meta = KeyTree::Find(tree_.root(), key);
  if (meta != nullptr) meta->history().Prefetch();
  return meta;
}

void KeyIndex::Add(KeyMeta* old, std::string_view key, const KeyFacts& facts) {
  if (old == nullptr) {
    tree_.Set(NewMeta(key, facts, {}), false, IsTombstone(facts) ? 0 : 1);
    return;
  }
  CHECK(old->mod() < facts.mod, "{}.{} after {}.{}", facts.mod.main, facts.mod.sub, old->mod().main,
        old->mod().sub);
  const int live_change = (IsTombstone(facts) ? 0 : 1) - (old->live() ? 1 : 0);
  KeyMeta* meta = NewMeta(key, facts, Pushed(old->history(), old->newest()));
  tree_.Set(meta, true, live_change);
  Discard(old);
}

KeyIndex::Loader::~Loader() {
  for (KeyMeta* meta : metas_) Destroy(meta);
}

bool KeyIndex::Loader::Add(std::string_view key, const KeyFacts& facts) {
  const Wanted wanted{HashBytes(key), key, metas_};
  const size_t next = metas_.size();
  const size_t place =
      places_.lazy_emplace(wanted, [&](const auto& make) { make(Known{wanted.hash, next}); })
          ->place;
  if (place == next) {
    metas_.push_back(index_.NewMeta(key, facts, {}));
    return true;
  }
  KeyMeta* old = metas_[place];
  if (old->mod() >= facts.mod) return false;
  metas_[place] = index_.NewMeta(key, facts, index_.Pushed(old->history(), old->newest()));
  index_.key_bytes_ -= old->bytes();
  KeyMeta::Destroy(old);  // nobody has seen it
  return true;
}

void KeyIndex::Loader::Finish() {
  places_ = {};
  // Most comparisons are decided by eight bytes behind what all keys have in common, and those are
  // looked at without going through a pointer.
  struct Row {
    uint64_t prefix;
    KeyMeta* meta;
  };
  const std::string_view first = metas_.empty() ? std::string_view() : metas_.front()->key();
  size_t common = first.size();
  for (const KeyMeta* meta : metas_) {
    const std::string_view key = meta->key();
    common = std::min(common, key.size());
    common = static_cast<size_t>(
        std::mismatch(first.begin(), first.begin() + common, key.begin()).first - first.begin());
  }
  std::vector<Row> rows;
  rows.reserve(metas_.size());
  for (KeyMeta* meta : metas_) {
    char prefix[8] = {};
    meta->key().substr(common).copy(prefix, sizeof(prefix));
    rows.push_back({LoadBigEndian64(prefix), meta});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : a.meta->key() < b.meta->key();
  });
  for (size_t i = 0; i < rows.size(); ++i) metas_[i] = rows[i].meta;
  index_.tree_.Load(std::exchange(metas_, {}));
}

size_t KeyIndex::Trim(std::string_view key, Revision at) {
  KeyMeta* old = KeyTree::Find(tree_.root(), key);
  if (old == nullptr || old->KeptWholeBy(at)) return 0;
  std::vector<KeyFacts> all;
  old->AppendAll(&all);
  const std::vector<KeyFacts> kept = KeptByCompaction(all, at);
  size_t before = 0;
  size_t after = 0;
  for (const KeyFacts& facts : all) before += RecordBytes(key.size(), facts.value_size);
  for (const KeyFacts& facts : kept) after += RecordBytes(key.size(), facts.value_size);
  if (kept.empty()) {
    CHECK(!old->live());
    tree_.Remove(old->key(), 0);
  } else {
    History history;
    for (size_t i = 0; i + 1 < kept.size(); ++i) history = Pushed(history, kept[i]);
    tree_.Set(NewMeta(old->key(), kept.back(), history), true, 0);
  }
  for (HistoryChunk* chunk = old->history().chunk; chunk != nullptr;) {
    Discard(std::exchange(chunk, chunk->older));
  }
  Discard(old);
  return before - after;
}

KeyMeta* KeyIndex::NewMeta(std::string_view key, const KeyFacts& newest, History history) {
  KeyMeta* meta = KeyMeta::Make(key, newest, history);
  key_bytes_ += meta->bytes();
  return meta;
}

History KeyIndex::Pushed(History history, const KeyFacts& facts) {
  HistoryChunk* chunk = history.chunk;
  if (chunk != nullptr && history.count < chunk->capacity) {
    // Readers of older KeyMetas stop at their own count, so this slot is still the writer's alone.
    chunk->facts()[history.count++] = facts;
    return history;
  }
  if (chunk != nullptr && chunk->capacity < HistoryChunk::kCapacityMax) {
    HistoryChunk* wider = HistoryChunk::Make(chunk->capacity * 4);
    for (uint32_t i = 0; i < history.count; ++i) wider->facts()[i] = chunk->facts()[i];
    key_bytes_ += wider->bytes();
    Discard(chunk);
    history.chunk = wider;
  } else {
    HistoryChunk* next = HistoryChunk::Make(chunk == nullptr ? 2 : HistoryChunk::kCapacityMax);
    next->older = chunk;
    next->older_count = history.count;
    key_bytes_ += next->bytes();
    history = {next, 0};
  }
  history.chunk->facts()[history.count++] = facts;
  return history;
}

size_t KeyIndex::CheckInvariants() const {
  tree_.CheckInvariants();
  size_t key_bytes = 0;
  size_t record_bytes = 0;
  std::vector<KeyFacts> all;
  for (KeyTree::Cursor cursor(tree_.root(), {}); cursor.Valid(); cursor.Next()) {
    const KeyMeta* meta = cursor.item();
    key_bytes += meta->bytes();
    for (HistoryChunk* chunk = meta->history().chunk; chunk != nullptr; chunk = chunk->older) {
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
  tree_.garbage().push_back({meta, &KeyMeta::Destroy, meta->bytes()});
}

void KeyIndex::Discard(HistoryChunk* chunk) {
  key_bytes_ -= chunk->bytes();
  tree_.garbage().push_back({chunk, &HistoryChunk::Destroy, chunk->bytes()});
}

}  // namespace store::mvcc
