// SPDX-License-Identifier: Apache-2.0
// MvccStore: the key space with its history. Facade over the index in memory (key_index.h) and the
// records in the engine. Apply is the only writer and works like this for each batch:
//
//   for each command:  auto txn = store.Begin(*batch);  txn.Put(...);  txn.Commit();
//   engine.Write(*batch);  EventBatchPtr events = store.Publish();
//   publish a StateView that names store.root();  hub.Publish(events);
//
// Nothing of a batch is visible to readers before Publish. When Write is refused (kNoSpace),
// Publish is not called, nothing else is applied, and the same batch is offered again.
//
// Threads: Begin, Compact, Publish, Trim, Install, root: apply. Everything const: any thread.
// Owned: the index (nodes freed through epochs()), a share of the engine. Bounded by: index_bytes()
// against the member's limit (NOSPACE alarm), retired nodes by MvccOptions::retired_bytes_max,
// values kept for readers by value_cache_bytes_max.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/engine/engine.h"
#include "store/mvcc/collector.h"
#include "store/mvcc/epoch.h"
#include "store/mvcc/event.h"
#include "store/mvcc/kv_hash.h"
#include "store/mvcc/read_view.h"
#include "store/mvcc/revision_scan.h"
#include "store/mvcc/value_cache.h"
#include "store/mvcc/write_txn.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace store::mvcc {

struct MvccOptions {
  size_t retired_bytes_max = 256 << 20;               // beyond it the oldest held view is cancelled
  Duration view_hold_max = std::chrono::seconds(60);  // how long a view may hold up collection
  size_t value_cache_bytes_max = 64 << 20;
  size_t collect_batch = 1000;  // deletes per batch
};

struct MvccStats {
  Revision current;
  Revision compacted;       // -1: never
  Revision collected;       // collection has finished up to here; -1: never
  int64_t keys = 0;         // live keys
  uint64_t live_bytes = 0;  // records kept: what the quota counts
  size_t index_bytes = 0;
  size_t retired_bytes = 0;
  size_t value_cache_bytes = 0;
  size_t held_views = 0;
  uint64_t views_cancelled = 0;
  uint64_t puts = 0;     // asked for since the start, those of transactions included
  uint64_t deletes = 0;  // ranges, whatever was in them
  uint64_t ranges = 0;   // read, those of transactions included
  uint64_t txns = 0;     // see CountTxn
};

class MvccStore {
 public:
  // Rebuilds the index from the headers in `engine`.
  static Result<std::unique_ptr<MvccStore>> Open(std::shared_ptr<engine::Engine> engine,
                                                 const MvccOptions& options = {});
  ~MvccStore();
  MvccStore(const MvccStore&) = delete;
  MvccStore& operator=(const MvccStore&) = delete;

  // Reading, any thread.
  ReadView View() const;  // newest published
  // The pair {StateView, ReadView}: enter epochs(), load the StateView, then make the view of its
  // root.
  ReadView ViewAt(EpochDomain::Guard guard, const IndexRoot* root) const;
  // `at` <= 0: the newest. kFutureRevision, kCompacted.
  Result<HeldView> Hold(Revision at = Revision()) const;
  Revision current() const { return Revision(current_.load(std::memory_order_acquire)); }
  Revision compacted() const { return Revision(compacted_.load(std::memory_order_acquire)); }
  Revision collected() const { return Revision(collected_.load(std::memory_order_acquire)); }
  // Records of [first, min(last, current())].
  RevisionScan Scan(Revision first, Revision last) const;
  // A record with its value; nullopt when compaction removed it or it is a tombstone.
  Result<std::optional<KeyValue>> ReadRecord(RecordId id) const;
  // `at` <= 0: the newest. Long: maintenance pool. kFutureRevision, kCompacted.
  Result<KvHash> HashByRevision(Revision at) const;
  MvccStats stats() const;
  // After a client's transaction of so many operations, compares included: one alone is none, as
  // etcd counts. Ranges, puts and deletes count themselves.
  void CountTxn(int operations) const {
    if (operations > 1) txns_.fetch_add(1, std::memory_order_relaxed);
  }
  std::shared_ptr<engine::Engine> engine() const;
  EpochDomain& epochs() const { return epochs_; }
  ValueCache& values() const { return values_; }

  // Writing, apply thread.
  WriteTxn Begin(engine::WriteBatch& batch);
  // Logical compaction: kCompacted at or below the compacted revision, kFutureRevision above the
  // current one (of the running batch). Reads below fail from the next Publish on; the collector
  // does the rest.
  Status Compact(Revision at, engine::WriteBatch& batch);
  // After the batch is in the engine: new root, its events (also when there are none).
  EventBatchPtr Publish();
  // Newest published root, for the StateView; valid until the StateView is retired through
  // epochs().
  const IndexRoot* root() const { return root_.load(std::memory_order_relaxed); }
  // Newest revision and compacted revision of the running batch, not yet published.
  Revision pending_current() const { return pending_current_; }
  Revision pending_compacted() const { return pending_compacted_; }
  // The index as KeyIndex checks it, and live_bytes; for tests, between batches.
  void CheckInvariants() const;
  // Drops collected history from the index; visible (as less memory, nothing else) at the next
  // Publish.
  void Trim(const TrimBatch& batch);
  // After a snapshot install: everything from another engine. The old one closes when its last
  // reader is gone; held views are cancelled. Publishes at once. Not while a Collector step runs.
  Status Install(std::shared_ptr<engine::Engine> engine);

 private:
  friend class WriteTxn;
  friend class ReadView;
  friend class HeldView;
  friend class Collector;
  class Writer;

  explicit MvccStore(const MvccOptions& options);
  void PublishRoot();
  void CountRange() const { ranges_.fetch_add(1, std::memory_order_relaxed); }
  Result<bool> IsLive(const HeldView& held, std::string_view key, RecordId id, Revision at) const;

  const MvccOptions options_;
  mutable EpochDomain epochs_;
  mutable ViewRegistry views_;
  mutable ValueCache values_;
  std::atomic<const IndexRoot*> root_{nullptr};
  std::atomic<int64_t> current_{1};
  std::atomic<int64_t> compacted_{-1};
  std::atomic<int64_t> collected_{-1};
  std::atomic<uint64_t> live_bytes_{0};
  std::atomic<size_t> index_bytes_{0};
  std::atomic<uint64_t> views_cancelled_{0};
  std::atomic<uint64_t> puts_{0};
  std::atomic<uint64_t> deletes_{0};
  // Of all who read: on a line that nobody else touches.
  alignas(64) mutable std::atomic<uint64_t> ranges_{0};
  mutable std::atomic<uint64_t> txns_{0};

  // Apply thread only.
  alignas(64) Revision pending_current_{1};
  Revision pending_compacted_{-1};
  std::unique_ptr<Writer> writer_;  // index, overlay of values in the running batch, events
};

}  // namespace store::mvcc
