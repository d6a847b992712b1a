// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/write_txn.h"

#include "store/base/check.h"
#include "store/base/crc32c.h"
#include "store/mvcc/mvcc_store.h"
#include "store/mvcc/writer.h"

#include <algorithm>
#include <utility>

namespace store::mvcc {
namespace {

// What apply reads was found in the index, or at a revision that is checked: it was not collected.
// As an answer ("compacted") it would let this member's state differ from the others'.
Error LostIfMissing(Error error) {
  if (error.code() != ErrorCode::kCompacted) return error;
  return Error(ErrorCode::kCorruption, "a value that the index names is missing in the engine");
}

}  // namespace

void MvccStore::Writer::Change(engine::WriteBatch& batch, KeyMeta* old, SharedBytes key,
                               SharedBytes value, const KeyFacts& facts) {
  const RecordId previous = old != nullptr && old->live() ? old->mod() : RecordId();
  RecordHeader header;
  header.key = key;
  header.tombstone = IsTombstone(facts);
  header.previous = previous;
  header.create = facts.create;
  header.version = facts.version;
  header.lease = facts.lease;
  header.value_size = facts.value_size;
  if (!value.empty()) header.value_crc = Crc32c(value);
  scratch.clear();
  AppendRecordHeader(header, &scratch);
  const std::string record_key = RecordKey(facts.mod);
  batch.Put(engine::Table::kRev, record_key, scratch);
  if (!value.empty()) batch.Put(engine::Table::kVal, record_key, value);
  index->Add(old, key, facts);
  live_bytes += RecordBytes(key.size(), value.size());
  event_bytes += key.size() + value.size();

  Event& event = events.emplace_back();
  event.type = header.tombstone ? EventType::kDelete : EventType::kPut;
  event.kv = {std::move(key), std::move(value), facts.create,
              facts.mod.main, facts.version,    facts.lease};
  event.id = facts.mod;
  event.previous = previous;
}

const SharedBytes* MvccStore::Writer::BatchValue(RecordId id) const {
  auto it = std::lower_bound(events.begin(), events.end(), id,
                             [](const Event& event, RecordId at) { return event.id < at; });
  if (it == events.end() || it->id != id || it->kv.value.empty()) return nullptr;
  return &it->kv.value;
}

Status MvccStore::Writer::Load(std::span<RangeRow> rows) const {
  for (RangeRow& row : rows) {
    if (const SharedBytes* value = BatchValue(row.facts.mod)) row.value = *value;
  }
  Status loaded = LoadFromEngine(*engine, nullptr, rows);
  if (!loaded) return Fail(LostIfMissing(std::move(loaded).error()));
  return loaded;
}

WriteTxn::WriteTxn(WriteTxn&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)),
      batch_(other.batch_),
      next_(other.next_),
      sub_(std::exchange(other.sub_, 0)) {}

WriteTxn::~WriteTxn() {
  CHECK(store_ == nullptr || !changed(), "a transaction with changes was not committed");
}

PutOutcome WriteTxn::Put(SharedBytes key, SharedBytes value, LeaseId lease) {
  store_->puts_.fetch_add(1, std::memory_order_relaxed);
  PutOutcome outcome;
  KeyMeta* old = store_->writer_->index->Find(key);
  if (old != nullptr && old->live()) outcome.before = old->newest();
  KeyFacts& facts = outcome.after;
  facts.mod = {next_, sub_++};
  facts.create = outcome.before ? outcome.before->create : next_;
  facts.version = outcome.before ? outcome.before->version + 1 : 1;
  facts.lease = lease;
  CHECK(value.size() <= UINT32_MAX);
  facts.value_size = static_cast<uint32_t>(value.size());
  store_->writer_->Change(*batch_, old, std::move(key), std::move(value), facts);
  return outcome;
}

std::vector<DeletedKey> WriteTxn::DeleteRange(const KeyRange& range) {
  store_->deletes_.fetch_add(1, std::memory_order_relaxed);
  // First who, then the deletes: a change invalidates the walk.
  std::vector<DeletedKey> deleted;
  ForEach(range, [&deleted](std::string_view key, const KeyFacts& facts) {
    deleted.push_back({SharedBytes::Copy(key), facts});
    return true;
  });
  for (const DeletedKey& key : deleted) {
    KeyFacts tombstone;
    tombstone.mod = {next_, sub_++};
    KeyMeta* old = store_->writer_->index->Find(key.key);
    store_->writer_->Change(*batch_, old, key.key, SharedBytes(), tombstone);
  }
  return deleted;
}

std::optional<KeyFacts> WriteTxn::Lookup(std::string_view key) const {
  const KeyMeta* meta = store_->writer_->index->Find(key);
  if (meta == nullptr || !meta->live()) return std::nullopt;
  return meta->newest();
}

int64_t WriteTxn::Count(const KeyRange& range) const {
  return KeyTree::CountLive(store_->writer_->index->top(), range);
}

void WriteTxn::ForEach(
    const KeyRange& range,
    absl::FunctionRef<bool(std::string_view key, const KeyFacts& facts)> visit) const {
  if (range.Empty()) return;
  KeyTree::Cursor cursor(store_->writer_->index->top(), range.from);
  for (; cursor.Valid(); cursor.Next()) {
    const KeyMeta& meta = *cursor.item();
    if (!range.unbounded && meta.key() >= range.to) return;
    if (meta.live() && !visit(meta.key(), meta.newest())) return;
  }
}

Result<SharedBytes> WriteTxn::Value(const KeyFacts& facts) const {
  if (facts.value_size == 0) return SharedBytes();
  if (const SharedBytes* value = store_->writer_->BatchValue(facts.mod)) return *value;
  auto value = ReadValue(*store_->writer_->engine, facts.mod, facts.value_size);
  if (!value) return Fail(LostIfMissing(std::move(value).error()));
  return value;
}

Result<KeyValue> WriteTxn::Load(SharedBytes key, const KeyFacts& facts) const {
  auto value = Value(facts);
  if (!value) return Fail(std::move(value).error());
  return KeyValue{std::move(key), std::move(*value), facts.create,
                  facts.mod.main, facts.version,     facts.lease};
}

Result<RangeResult> WriteTxn::Range(const RangeQuery& query) const {
  store_->CountRange();
  const bool newest = query.at.value() <= 0;
  if (!newest) RETURN_IF_ERROR(CheckRevision(query.at));
  const MvccStore::Writer& writer = *store_->writer_;
  // At its own revision it sees what it has done so far, which is the newest state.
  RangeReader reader(query, newest ? next_ : query.at);
  reader.Begin(writer.index->top(), newest);
  reader.Step(writer.index->top());
  auto result = reader.Finish([&writer](std::span<RangeRow> rows) { return writer.Load(rows); });
  if (result) result->current = now();
  return result;
}

Status WriteTxn::CheckRevision(Revision at) const {
  if (!at) return Ok();
  if (at > next_ - 1) return Fail(ErrorCode::kFutureRevision);
  if (at < store_->pending_compacted_) return Fail(ErrorCode::kCompacted);
  return Ok();
}

Revision WriteTxn::Commit() {
  CHECK(store_ != nullptr);
  const Revision revision = now();
  store_->pending_current_ = revision;
  store_ = nullptr;
  return revision;
}

}  // namespace store::mvcc
