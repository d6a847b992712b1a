// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/read_view.h"

#include "store/mvcc/key_index.h"
#include "store/mvcc/mvcc_store.h"
#include "store/mvcc/range_reader.h"
#include "store/mvcc/revision_scan.h"
#include "store/mvcc/value_cache.h"

#include <absl/container/inlined_vector.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::mvcc {
namespace {

// The index of so many keys is in the caches anyway: asking costs 0.1 us a key and saves nothing.
constexpr int64_t kPrefetchAboveKeys = 50'000;

// A value can only be missing because collection removed it, and collection goes no further than
// the compacted revision; above that, bytes were lost.
Error ExplainMissing(Error error, const MvccStore& store, Revision at) {
  if (error.code() != ErrorCode::kCompacted || store.compacted() > at) return error;
  return Error(ErrorCode::kCorruption,
               fmt::format("a value that revision {} needs is missing in the engine", at));
}

Revision Resolve(Revision at, Revision current) { return at.value() <= 0 ? current : at; }

// As ReadView::CheckRevision, for a Range: nothing above 0 is special.
Status CheckReadable(Revision at, Revision current, Revision compacted) {
  if (at > current) return Fail(ErrorCode::kFutureRevision);
  if (at < compacted) return Fail(ErrorCode::kCompacted);
  return Ok();
}

}  // namespace

Revision ReadView::current() const { return root_->current; }
Revision ReadView::compacted() const { return root_->compacted; }

Status ReadView::CheckRevision(Revision at) const {
  if (!at) return Ok();
  return CheckReadable(at, root_->current, root_->compacted);
}

Result<RangeResult> ReadView::Range(const RangeQuery& query, KeyPlace place) const {
  root_->store->CountRange();
  const Revision at = Resolve(query.at, root_->current);
  RETURN_IF_ERROR(CheckReadable(at, root_->current, root_->compacted));
  RangeReader reader(query, at);
  if (place.known) {
    reader.BeginAt(place.meta);
  } else {
    reader.Begin(root_->top, at == root_->current);
    reader.Step(root_->top);
  }
  auto result = reader.Finish([this](std::span<RangeRow> rows) {
    return LoadFromEngine(*root_->engine, &root_->store->values(), rows);
  });
  if (!result) return Fail(ExplainMissing(std::move(result).error(), *root_->store, at));
  result->current = root_->current;
  return result;
}

std::optional<KeyFacts> ReadView::Lookup(std::string_view key, Revision at) const {
  // Otherwise the answer would depend on how far the index has been trimmed.
  if (at.value() > 0 && at < root_->compacted) return std::nullopt;
  const KeyMeta* meta = KeyTree::Find(root_->top, key);
  if (meta == nullptr) return std::nullopt;
  return meta->LiveAt(Resolve(at, root_->current));
}

Result<std::optional<KeyValue>> ReadView::Get(std::string_view key, Revision at) const {
  RangeQuery query;
  query.range = KeyRange::Point(key);
  query.at = at;
  auto result = Range(query);
  if (!result) return Fail(std::move(result).error());
  if (result->kvs.empty()) return std::optional<KeyValue>();
  return std::optional<KeyValue>(std::move(result->kvs.front()));
}

void ReadView::FindKeys(std::span<const std::string_view> keys, std::span<KeyPlace> places) const {
  if (KeyTree::Live(root_->top) < kPrefetchAboveKeys) return;
  absl::InlinedVector<KeyMeta*, 64> found(keys.size());
  KeyTree::FindTogether(root_->top, keys, std::span(found.data(), found.size()));
  for (size_t i = 0; i < keys.size(); ++i) {
    places[i] = {true, found[i]};
    if (found[i] != nullptr) root_->store->values().Prefetch(found[i]->mod());
  }
}

int64_t ReadView::Count(const KeyRange& range) const {
  return KeyTree::CountLive(root_->top, range);
}

std::shared_ptr<engine::Engine> ReadView::engine() const { return root_->engine; }

void ReadView::ForEach(
    const KeyRange& range, Revision at,
    absl::FunctionRef<bool(std::string_view key, const KeyFacts& facts)> visit) const {
  const Revision revision = Resolve(at, root_->current);
  for (KeyTree::Cursor cursor(root_->top, range.from); cursor.Valid(); cursor.Next()) {
    const KeyMeta& meta = *cursor.item();
    if (!range.unbounded && meta.key() >= range.to) return;
    const std::optional<KeyFacts> facts = meta.LiveAt(revision);
    if (facts && !visit(meta.key(), *facts)) return;
  }
}

ViewRegistry::Handle ViewRegistry::Add(Revision revision) {
  MutexLock lock(mutex_);
  entries_.emplace_back();
  entries_.back().revision = revision;
  return std::prev(entries_.end());
}

void ViewRegistry::Remove(Handle handle) {
  MutexLock lock(mutex_);
  entries_.erase(handle);
}

std::optional<Revision> ViewRegistry::Lowest() const {
  MutexLock lock(mutex_);
  std::optional<Revision> lowest;
  for (const Entry& entry : entries_) {
    if (entry.cancelled.load(std::memory_order_relaxed)) continue;
    if (!lowest || entry.revision < *lowest) lowest = entry.revision;
  }
  return lowest;
}

size_t ViewRegistry::CancelBelow(Revision revision) {
  MutexLock lock(mutex_);
  size_t cancelled = 0;
  for (Entry& entry : entries_) {
    if (entry.revision < revision && !entry.cancelled.exchange(true)) ++cancelled;
  }
  return cancelled;
}

size_t ViewRegistry::CancelOldest() {
  MutexLock lock(mutex_);
  for (Entry& entry : entries_) {
    if (!entry.cancelled.exchange(true)) return 1;
  }
  return 0;
}

size_t ViewRegistry::CancelAll() {
  MutexLock lock(mutex_);
  size_t cancelled = 0;
  for (Entry& entry : entries_) {
    if (!entry.cancelled.exchange(true)) ++cancelled;
  }
  return cancelled;
}

size_t ViewRegistry::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

HeldView::HeldView(HeldView&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)), entry_(other.entry_) {}

HeldView::~HeldView() {
  if (store_ != nullptr) store_->views_.Remove(entry_);
}

Result<ReadView> HeldView::Enter() const {
  ReadView view = store_->View();
  // After the view is taken: an install cancels first and then publishes another history.
  if (cancelled()) return Fail(ErrorCode::kCompacted);
  return view;
}

Status HeldView::Read(RangeReader& reader, Revision* current) const {
  for (bool first = true, done = false; !done; first = false) {
    auto view = Enter();
    if (!view) return Fail(std::move(view).error());
    if (first) {
      *current = view->current();
      // Counts by subtrees are those of the root's own revision only.
      reader.Begin(view->root_->top, *current == revision());
    }
    done = reader.Step(view->root_->top, kKeysPerStep);
  }
  return Ok();
}

Status HeldView::Load(std::span<RangeRow> rows) const {
  std::shared_ptr<engine::Engine> engine;
  {
    auto view = Enter();
    if (!view) return Fail(std::move(view).error());
    engine = view->root_->engine;
  }
  return LoadFromEngine(*engine, &store_->values(),
                        rows);  // without a slot: the disk may take its time
}

Result<RangeResult> HeldView::Range(const RangeQuery& query) const {
  store_->CountRange();
  RangeReader reader(query, revision());
  Revision current;
  RETURN_IF_ERROR(Read(reader, &current));
  auto result = reader.Finish([this](std::span<RangeRow> rows) { return Load(rows); });
  if (!result) {
    if (cancelled()) return Fail(std::move(result).error());
    return Fail(ExplainMissing(std::move(result).error(), *store_, revision()));
  }
  // The root may be newer than what was held. Whoever lists the newest and then watches from behind
  // the revision that the answer names must miss nothing.
  result->current = query.at.value() <= 0 ? revision() : current;
  return result;
}

Status HeldView::ForEach(
    const KeyRange& range,
    absl::FunctionRef<bool(std::string_view key, const KeyFacts& facts)> visit) const {
  for (std::string next = range.from;;) {
    auto view = Enter();
    if (!view) return Fail(std::move(view).error());
    KeyTree::Cursor cursor(view->root_->top, next);
    for (size_t seen = 0; seen < kKeysPerStep; ++seen, cursor.Next()) {
      if (!cursor.Valid()) return Ok();
      const KeyMeta& meta = *cursor.item();
      if (!range.unbounded && meta.key() >= range.to) return Ok();
      const std::optional<KeyFacts> facts = meta.LiveAt(revision());
      if (facts && !visit(meta.key(), *facts)) return Ok();
    }
    if (!cursor.Valid()) return Ok();
    next = cursor.item()->key();
  }
}

RangeStream::RangeStream(HeldView view, RangeQuery query)
    : view_(std::move(view)), query_(std::move(query)) {
  query_.order = SortOrder::kNone;
  query_.target = SortTarget::kKey;
}

Status RangeStream::Count() {
  RangeQuery query = query_;
  query.count_only = true;
  auto counted = view_.Range(query);
  if (!counted) return Fail(std::move(counted).error());
  count_ = counted->count;
  current_ = counted->current;
  begun_ = true;
  return Ok();
}

Result<RangeChunk> RangeStream::Next(size_t bytes_max) {
  if (!begun_) RETURN_IF_ERROR(Count());
  RangeChunk chunk;
  if (!query_.count_only) {
    RangeReader reader(query_, view_.revision());
    reader.ReadPiece(bytes_max);
    Revision current;
    RETURN_IF_ERROR(view_.Read(reader, &current));
    auto piece = reader.Finish([this](std::span<RangeRow> rows) { return view_.Load(rows); });
    if (!piece) return Fail(std::move(piece).error());
    chunk.kvs = std::move(piece->kvs);
    chunk.more = piece->more;
    if (reader.cut()) {
      query_.range.from = reader.next_key();
      if (query_.limit > 0) query_.limit -= static_cast<int64_t>(chunk.kvs.size());
      return chunk;
    }
  }
  chunk.last = true;
  chunk.count = count_;
  chunk.current = current_;
  return chunk;
}

}  // namespace store::mvcc
