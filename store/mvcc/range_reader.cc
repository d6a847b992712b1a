// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/range_reader.h"

#include "store/base/check.h"
#include "store/base/coding.h"
#include "store/mvcc/revision.h"
#include "store/mvcc/value_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace store::mvcc {
namespace {

bool HasFilter(const RangeQuery& query) {
  return query.min_mod || query.max_mod || query.min_create || query.max_create;
}

int64_t Number(SortTarget target, const KeyFacts& facts) {
  if (target == SortTarget::kVersion) return facts.version;
  if (target == SortTarget::kCreate) return facts.create.value();
  return facts.mod.main.value();
}

}  // namespace

RangeReader::RangeReader(const RangeQuery& query, Revision at)
    : query_(query), at_(at), next_(query.range.from) {
  const bool key_order = query.target == SortTarget::kKey && query.order != SortOrder::kDescend;
  const bool first_keys = query.order == SortOrder::kNone && !HasFilter(query);
  const bool limited = query.limit > 0 && query.limit < std::numeric_limits<int64_t>::max();
  if (limited && (key_order || first_keys)) {
    wanted_ = query.limit + 1;  // one more tells that there is more
  } else if (limited && query.target != SortTarget::kValue) {
    kept_ = static_cast<size_t>(query.limit) + 1;
  }
  if (query.count_only) wanted_ = 0;
}

void RangeReader::Begin(const IndexNode* top, bool newest) {
  finished_ = query_.range.Empty();
  if (finished_) return;
  if (query_.range.IsPoint()) return BeginAt(KeyTree::Find(top, query_.range.from));
  if (piece_ || query_.uncounted) return;
  if (newest) {
    count_ = KeyTree::CountLive(top, query_.range);
    finished_ = count_ == 0 || Enough();
  } else {
    counting_ = true;
  }
}

// One key needs neither ranks nor a walk.
void RangeReader::BeginAt(const KeyMeta* meta) {
  counting_ = !piece_;
  if (meta != nullptr) Visit(*meta);
  finished_ = true;
}

bool RangeReader::Step(const IndexNode* top, size_t keys_max) {
  if (finished_) return true;
  size_t seen = 0;
  KeyTree::Cursor cursor(top, next_);
  for (; cursor.Valid(); cursor.Next()) {
    const KeyMeta& meta = *cursor.item();
    if (!query_.range.unbounded && meta.key() >= query_.range.to) break;
    if (seen++ == keys_max) {
      next_ = meta.key();
      return false;
    }
    if (!Visit(meta)) break;
  }
  finished_ = true;
  return true;
}

// False when nothing behind this key is needed.
bool RangeReader::Visit(const KeyMeta& meta) {
  const std::optional<KeyFacts> facts = meta.LiveAt(at_);
  if (!facts) return true;
  if (counting_) ++count_;
  if (!Enough() && Matches(*facts) && MayStay(*facts)) {
    if (piece_ && !FitsPiece(meta, *facts)) return false;
    rows_.push_back({keys_.size(), meta.key().size(), *facts, {}});
    keys_.append(meta.key());
    if (kept_ > 0 && rows_.size() >= kRowsMin && rows_.size() / 2 >= kept_) DropRows();
  }
  return counting_ || !Enough();
}

// Of equal rows the first by key comes first.
bool RangeReader::MayStay(const KeyFacts& facts) const {
  if (!last_) return true;
  const int64_t number = Number(query_.target, facts);
  return query_.order == SortOrder::kDescend ? number > *last_ : number < *last_;
}

void RangeReader::DropRows() {
  if (query_.target == SortTarget::kKey) {  // descending
    rows_.erase(rows_.begin(), rows_.end() - static_cast<ptrdiff_t>(kept_));
  } else {
    SortBy(query_.target, query_.order == SortOrder::kDescend);
    rows_.resize(kept_);
    last_ = Number(query_.target, rows_.back().facts);
  }
  DropKeys();
}

// Those of rows that are gone.
void RangeReader::DropKeys() {
  std::string kept;
  for (RangeRow& row : rows_) {
    const std::string_view key = KeyOf(row);
    row.key_offset = kept.size();
    kept.append(key);
  }
  keys_ = std::move(kept);
}

bool RangeReader::FitsPiece(const KeyMeta& meta, const KeyFacts& facts) {
  // The row behind the limit only tells that there is more; it is not returned.
  if (wanted_ >= 0 && static_cast<int64_t>(rows_.size()) == wanted_ - 1) return true;
  const size_t bytes = meta.key().size() + (query_.keys_only ? 0 : facts.value_size);
  if (!rows_.empty() && bytes_ + bytes > bytes_max_) {
    cut_ = true;
    next_ = meta.key();
    return false;
  }
  bytes_ += bytes;
  return true;
}

bool RangeReader::Matches(const KeyFacts& facts) const {
  const Revision mod = facts.mod.main;
  return (!query_.min_mod || mod >= query_.min_mod) && (!query_.max_mod || mod <= query_.max_mod) &&
         (!query_.min_create || facts.create >= query_.min_create) &&
         (!query_.max_create || facts.create <= query_.max_create);
}

Result<RangeResult> RangeReader::Finish(ValueLoader load) {
  CHECK(finished_);
  RangeResult result;
  result.count = count_;
  if (query_.count_only) return result;
  const bool by_value = query_.target == SortTarget::kValue;
  if (by_value) RETURN_IF_ERROR(LoadValues(load));
  Sort();
  if (query_.limit > 0 && rows_.size() > static_cast<size_t>(query_.limit)) {
    rows_.resize(static_cast<size_t>(query_.limit));
    result.more = true;
  }
  if (!query_.keys_only && !by_value) RETURN_IF_ERROR(LoadValues(load));
  result.kvs = TakeKeyValues();
  return result;
}

Status RangeReader::LoadValues(ValueLoader load) {
  if (query_.target == SortTarget::kValue) {
    size_t bytes = 0;
    for (const RangeRow& row : rows_) bytes += row.facts.value_size;
    if (bytes > kValueSortBytesMax) {
      return Fail(
          ErrorCode::kRequestTooLarge,
          fmt::format("sorting {} bytes of values; the limit is {}", bytes, kValueSortBytesMax));
    }
  }
  std::span<RangeRow> rows(rows_);
  while (!rows.empty()) {
    const size_t count = std::min(kKeysPerStep, rows.size());
    RETURN_IF_ERROR(load(rows.first(count)));
    rows = rows.subspan(count);
  }
  return Ok();
}

void RangeReader::Sort() {
  const bool descend = query_.order == SortOrder::kDescend;
  if (query_.target == SortTarget::kKey) {
    if (descend) std::reverse(rows_.begin(), rows_.end());
    return;
  }
  SortBy(query_.target, descend);
}

void RangeReader::SortBy(SortTarget target, bool descend) {
  // Stable, so that equal rows stay in key order: any order is allowed, a reproducible one is
  // better.
  std::stable_sort(rows_.begin(), rows_.end(), [&](const RangeRow& a, const RangeRow& b) {
    const RangeRow& low = descend ? b : a;
    const RangeRow& high = descend ? a : b;
    if (target == SortTarget::kValue) return low.value.view() < high.value.view();
    return Number(target, low.facts) < Number(target, high.facts);
  });
}

std::vector<KeyValue> RangeReader::TakeKeyValues() {
  size_t needed = 0;
  for (const RangeRow& row : rows_) needed += row.key_size;
  // Most was cut away: do not keep all keys alive for a few.
  if (needed * 2 < keys_.size()) DropKeys();
  const SharedBytes keys = SharedBytes::Of(std::move(keys_));
  // As etcd 3.7: what comes from the index alone has no lease.
  const bool no_lease = query_.keys_only && query_.target != SortTarget::kValue;
  std::vector<KeyValue> kvs;
  kvs.reserve(rows_.size());
  for (RangeRow& row : rows_) {
    KeyValue& kv = kvs.emplace_back();
    kv.key = keys.Slice(row.key_offset, row.key_size);
    if (!query_.keys_only) kv.value = std::move(row.value);
    kv.create = row.facts.create;
    kv.mod = row.facts.mod.main;
    kv.version = row.facts.version;
    if (!no_lease) kv.lease = row.facts.lease;
  }
  return kvs;
}

Status LoadFromEngine(const engine::Engine& engine, ValueCache* cache, std::span<RangeRow> rows) {
  CHECK(rows.size() <= kKeysPerStep);
  std::array<char, kKeysPerStep * kRecordKeySize> bytes;
  std::array<engine::Key, kKeysPerStep> keys;
  std::array<RangeRow*, kKeysPerStep> targets;
  std::array<std::optional<SharedBytes>, kKeysPerStep> values;
  size_t count = 0;
  for (RangeRow& row : rows) {
    if (row.facts.value_size == 0 || !row.value.empty()) continue;
    if (cache != nullptr) row.value = cache->Find(row.facts.mod);
    if (!row.value.empty()) continue;
    char* key = bytes.data() + count * kRecordKeySize;
    StoreBigEndian64(static_cast<uint64_t>(row.facts.mod.main.value()), key);
    StoreBigEndian32(row.facts.mod.sub, key + 8);
    keys[count] = engine::Key(key, kRecordKeySize);
    targets[count++] = &row;
  }
  if (count == 0) return Ok();
  RETURN_IF_ERROR(engine.MultiGet(engine::Table::kVal, std::span(keys).first(count),
                                  std::span(values).first(count)));
  for (size_t i = 0; i < count; ++i) {
    if (!values[i]) return Fail(ErrorCode::kCompacted);
    if (values[i]->size() != targets[i]->facts.value_size) {
      return Fail(
          ErrorCode::kCorruption,
          fmt::format("value of record {}.{} has {} bytes, expected {}", targets[i]->facts.mod.main,
                      targets[i]->facts.mod.sub, values[i]->size(), targets[i]->facts.value_size));
    }
    targets[i]->value = std::move(*values[i]);
    if (cache != nullptr) cache->Add(targets[i]->facts.mod, targets[i]->value);
  }
  return Ok();
}

}  // namespace store::mvcc
