// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/key_meta.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

namespace store::mvcc {

// Facts are copied and dropped as bytes.
static_assert(std::is_trivially_copyable_v<KeyFacts> && std::is_trivially_destructible_v<KeyFacts>);
static_assert(sizeof(HistoryChunk) % alignof(KeyFacts) == 0);
static_assert(sizeof(KeyMeta) == 24);

namespace {

// The rule of KeptByCompaction; `next` is the revision of the facts behind these.
bool IsKept(const KeyFacts& facts, std::optional<Revision> next, Revision at) {
  const Revision mod = facts.mod.main;
  if (mod > at) return true;
  return IsTombstone(facts) ? mod == at : !next || *next > at;
}

}  // namespace

HistoryChunk* HistoryChunk::Make(uint32_t capacity) {
  void* memory = ::operator new(sizeof(HistoryChunk) + capacity * sizeof(KeyFacts));
  auto* chunk = new (memory) HistoryChunk{nullptr, 0, capacity};
  for (uint32_t i = 0; i < capacity; ++i) new (chunk->facts() + i) KeyFacts();
  return chunk;
}

void HistoryChunk::Destroy(void* chunk) { ::operator delete(chunk); }

uint8_t KeyMeta::PartsOf(const KeyFacts& newest, History history) {
  const bool first = newest.version == 1 && newest.create == newest.mod.main;
  const bool nothing = IsTombstone(newest) && newest.create == Revision();
  unsigned parts = IsTombstone(newest) ? kTombstone : 0;
  if (history.chunk != nullptr) parts |= kOlder;
  if (!first && !nothing) parts |= kLife;
  if (newest.lease != LeaseId()) parts |= kLease;
  return static_cast<uint8_t>(parts);
}

// Where `part` stands, or, with 0, the key behind all of them.
uint8_t KeyMeta::OffsetOf(uint8_t part, uint8_t parts) {
  size_t offset = sizeof(KeyMeta);
  if (part == kOlder) return static_cast<uint8_t>(offset);
  if ((parts & kOlder) != 0) offset += 2 * sizeof(uint64_t);
  if (part == kLife) return static_cast<uint8_t>(offset);
  if ((parts & kLife) != 0) offset += 2 * sizeof(int64_t);
  if (part == kLease) return static_cast<uint8_t>(offset);
  if ((parts & kLease) != 0) offset += sizeof(int64_t);
  return static_cast<uint8_t>(offset);
}

KeyMeta::KeyMeta(std::string_view key, const KeyFacts& newest, uint8_t parts)
    : mod_main_(newest.mod.main.value()),
      mod_sub_(newest.mod.sub),
      value_size_(newest.value_size),
      key_size_(static_cast<uint32_t>(key.size())),
      parts_(parts),
      key_offset_(OffsetOf(0, parts)) {}

KeyMeta* KeyMeta::Make(std::string_view key, const KeyFacts& newest, History history) {
  const uint8_t parts = PartsOf(newest, history);
  char* memory = static_cast<char*>(::operator new(OffsetOf(0, parts) + key.size()));
  auto* meta = new (memory) KeyMeta(key, newest, parts);
  const auto store = [memory, parts](uint8_t part, auto... values) {
    if ((parts & part) == 0) return;
    char* to = memory + OffsetOf(part, parts);
    ((std::memcpy(to, &values, sizeof(values)), to += sizeof(values)), ...);
  };
  store(kOlder, history.chunk, uint64_t{history.count});
  store(kLife, newest.create.value(), newest.version);
  store(kLease, newest.lease.value());
  if (!key.empty()) std::memcpy(memory + meta->key_offset_, key.data(), key.size());
  return meta;
}

void KeyMeta::Destroy(void* meta) { ::operator delete(meta); }

int64_t KeyMeta::Number(size_t offset) const {
  int64_t number = 0;
  std::memcpy(&number, base() + offset, sizeof(number));
  return number;
}

KeyFacts KeyMeta::newest() const {
  KeyFacts facts;
  facts.mod = mod();
  facts.value_size = value_size_;
  if ((parts_ & kLife) != 0) {
    const size_t offset = OffsetOf(kLife, parts_);
    facts.create = Revision(Number(offset));
    facts.version = Number(offset + sizeof(int64_t));
  } else if (live()) {
    facts.create = facts.mod.main;
    facts.version = 1;
  }
  if ((parts_ & kLease) != 0) facts.lease = LeaseId(Number(OffsetOf(kLease, parts_)));
  return facts;
}

History KeyMeta::history() const {
  History history;
  if ((parts_ & kOlder) == 0) return history;
  const size_t offset = OffsetOf(kOlder, parts_);
  std::memcpy(&history.chunk, base() + offset, sizeof(history.chunk));
  history.count = static_cast<uint32_t>(Number(offset + sizeof(history.chunk)));
  return history;
}

std::optional<KeyFacts> KeyMeta::At(Revision at) const {
  if (mod_main_ <= at.value()) return newest();
  History older = history();
  while (older.chunk != nullptr) {
    const KeyFacts* begin = older.chunk->facts();
    if (older.count > 0 && begin->mod.main <= at) {
      const KeyFacts* above = std::upper_bound(
          begin, begin + older.count, at,
          [](Revision revision, const KeyFacts& facts) { return revision < facts.mod.main; });
      return *(above - 1);
    }
    older = {older.chunk->older, older.chunk->older_count};
  }
  return std::nullopt;
}

std::optional<KeyFacts> KeyMeta::LiveAt(Revision at) const {
  std::optional<KeyFacts> facts = At(at);
  if (facts && IsTombstone(*facts)) return std::nullopt;
  return facts;
}

std::vector<History> KeyMeta::Chunks() const {
  std::vector<History> chunks;
  for (History older = history(); older.chunk != nullptr;
       older = {older.chunk->older, older.chunk->older_count}) {
    chunks.push_back(older);
  }
  std::reverse(chunks.begin(), chunks.end());
  return chunks;
}

void KeyMeta::AppendAll(std::vector<KeyFacts>* out) const {
  for (const History& part : Chunks()) {
    out->insert(out->end(), part.chunk->facts(), part.chunk->facts() + part.count);
  }
  out->push_back(newest());
}

bool KeyMeta::KeptWholeBy(Revision at) const {
  std::optional<KeyFacts> before;
  for (const History& part : Chunks()) {
    for (const KeyFacts& facts : std::span(part.chunk->facts(), part.count)) {
      if (before && !IsKept(*before, facts.mod.main, at)) return false;
      if (facts.mod.main > at) return true;
      before = facts;
    }
  }
  return (!before || IsKept(*before, mod().main, at)) && IsKept(newest(), std::nullopt, at);
}

std::vector<KeyFacts> KeptByCompaction(const std::vector<KeyFacts>& facts, Revision at) {
  std::vector<KeyFacts> kept;
  for (size_t i = 0; i < facts.size(); ++i) {
    std::optional<Revision> next;
    if (i + 1 < facts.size()) next = facts[i + 1].mod.main;
    if (IsKept(facts[i], next, at)) kept.push_back(facts[i]);
  }
  return kept;
}

}  // namespace store::mvcc
