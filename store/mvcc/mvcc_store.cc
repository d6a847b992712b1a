// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/mvcc_store.h"

#include "store/base/check.h"
#include "store/base/failpoint.h"
#include "store/mvcc/key_index.h"
#include "store/mvcc/restore.h"
#include "store/mvcc/writer.h"

#include <algorithm>
#include <utility>

namespace store::mvcc {

MvccStore::MvccStore(const MvccOptions& options)
    : options_(options),
      values_(options.value_cache_bytes_max),
      writer_(std::make_unique<Writer>()) {}

MvccStore::~MvccStore() { delete root_.load(std::memory_order_relaxed); }

Result<std::unique_ptr<MvccStore>> MvccStore::Open(std::shared_ptr<engine::Engine> engine,
                                                   const MvccOptions& options) {
  std::unique_ptr<MvccStore> store(new MvccStore(options));
  RETURN_IF_ERROR(store->Install(std::move(engine)));
  return store;
}

ReadView MvccStore::View() const {
  EpochDomain::Guard guard = epochs_.Enter();
  const IndexRoot* root = root_.load(std::memory_order_seq_cst);
  return ReadView(std::move(guard), root);
}

ReadView MvccStore::ViewAt(EpochDomain::Guard guard, const IndexRoot* root) const {
  CHECK(guard.held() && root != nullptr);
  return ReadView(std::move(guard), root);
}

Result<HeldView> MvccStore::Hold(Revision at) const {
  while (true) {
    // Registered first, checked then: either the collector sees the view, or the view sees the
    // compaction.
    const Revision revision = at.value() <= 0 ? current() : at;
    if (revision > current()) return Fail(ErrorCode::kFutureRevision);
    HeldView view(this, views_.Add(revision));
    if (revision >= compacted()) return view;
    if (at.value() > 0) return Fail(ErrorCode::kCompacted);
    // A compaction came in between, or an install is about to publish: the newest is another one.
  }
}

RevisionScan MvccStore::Scan(Revision first, Revision last) const {
  std::shared_ptr<engine::Engine> engine;
  {
    ReadView view = View();
    engine = view.engine();
    last = std::min(last, view.current());
  }
  return RevisionScan(std::move(engine), std::max(first, Revision(0)), last);
}

Result<std::optional<KeyValue>> MvccStore::ReadRecord(RecordId id) const {
  return mvcc::ReadRecord(*engine(), id);
}

MvccStats MvccStore::stats() const {
  MvccStats stats;
  {
    ReadView view = View();
    stats.current = view.current();
    stats.compacted = view.compacted();
    stats.keys = view.Count({{}, {}, true});
  }
  stats.collected = collected();
  stats.live_bytes = live_bytes_.load(std::memory_order_relaxed);
  stats.index_bytes = index_bytes_.load(std::memory_order_relaxed);
  stats.retired_bytes = epochs_.retired_bytes();
  stats.value_cache_bytes = values_.bytes();
  stats.held_views = views_.size();
  stats.views_cancelled = views_cancelled_.load(std::memory_order_relaxed);
  stats.puts = puts_.load(std::memory_order_relaxed);
  stats.deletes = deletes_.load(std::memory_order_relaxed);
  stats.ranges = ranges_.load(std::memory_order_relaxed);
  stats.txns = txns_.load(std::memory_order_relaxed);
  return stats;
}

std::shared_ptr<engine::Engine> MvccStore::engine() const { return View().engine(); }

WriteTxn MvccStore::Begin(engine::WriteBatch& batch) {
  return WriteTxn(this, &batch, pending_current_ + 1);
}

Status MvccStore::Compact(Revision at, engine::WriteBatch& batch) {
  if (at <= pending_compacted_) return Fail(ErrorCode::kCompacted);
  if (at > pending_current_) return Fail(ErrorCode::kFutureRevision);
  FAILPOINT("mvcc-compact");
  batch.Put(engine::Table::kSys, CompactScheduledKey(), CompactRow(at));
  pending_compacted_ = at;
  return Ok();
}

EventBatchPtr MvccStore::Publish() {
  auto batch = std::make_shared<EventBatch>();
  batch->events = std::exchange(writer_->events, {});
  writer_->events.reserve(batch->events.size());  // the next batch is much like this one
  batch->bytes = std::exchange(writer_->event_bytes, 0);
  batch->last = pending_current_;
  batch->first = batch->events.empty() ? pending_current_ : batch->events.front().kv.mod;
  PublishRoot();
  if (epochs_.retired_bytes() > options_.retired_bytes_max) {
    views_cancelled_.fetch_add(views_.CancelOldest(), std::memory_order_relaxed);
  }
  return batch;
}

void MvccStore::PublishRoot() {
  // What was retired before this call is sealed now; what this batch replaced stays open until the
  // next one, because a StateView may still name the old root (epoch.h).
  epochs_.Seal();
  KeyIndex& index = *writer_->index;
  auto* root =
      new IndexRoot{index.top(), pending_current_, pending_compacted_, writer_->engine, this};
  const IndexRoot* old = root_.exchange(root, std::memory_order_seq_cst);
  for (const Garbage& garbage : index.TakeGarbage()) {
    epochs_.Retire(garbage.object, garbage.deleter, garbage.bytes);
  }
  if (old != nullptr) epochs_.RetireObject(old);
  index.NextEpoch();
  live_bytes_.store(writer_->live_bytes, std::memory_order_relaxed);
  index_bytes_.store(index.bytes(), std::memory_order_relaxed);
  compacted_.store(pending_compacted_.value(), std::memory_order_release);
  current_.store(pending_current_.value(), std::memory_order_release);
}

void MvccStore::CheckInvariants() const {
  const size_t record_bytes = writer_->index->CheckInvariants();
  CHECK(record_bytes == writer_->live_bytes, "{} live bytes, counted {}", record_bytes,
        writer_->live_bytes);
}

void MvccStore::Trim(const TrimBatch& batch) {
  // Left over from before an install: the new state decides for itself.
  if (batch.target > pending_compacted_) return;
  FAILPOINT("mvcc-trim");
  for (const std::string& key : batch.keys) {
    writer_->live_bytes -= writer_->index->Trim(key, batch.target);
  }
}

Status MvccStore::Install(std::shared_ptr<engine::Engine> engine) {
  CHECK(writer_->events.empty(), "install inside a batch");
  auto restored = RestoreIndex(*engine);
  if (!restored) return Fail(std::move(restored).error());
  // First: a view that is registered after the others were cancelled sees what the new state lacks.
  compacted_.store(restored->scheduled.value(), std::memory_order_release);
  views_cancelled_.fetch_add(views_.CancelAll(), std::memory_order_relaxed);
  FAILPOINT("mvcc-install-cancelled");
  std::unique_ptr<KeyIndex> old = std::exchange(writer_->index, std::move(restored->index));
  writer_->engine = std::move(engine);
  writer_->live_bytes = restored->live_bytes;
  pending_current_ = restored->current;
  pending_compacted_ = restored->scheduled;
  collected_.store(restored->finished.value(), std::memory_order_release);
  PublishRoot();
  // The new history is the cluster's own; what is kept of the old one is only not needed any more,
  // and its values hold the former engine and its files.
  values_.Clear();
  const size_t bytes = old->bytes();
  epochs_.Retire([index = std::move(old)]() mutable { index.reset(); }, bytes);
  return Ok();
}

}  // namespace store::mvcc
