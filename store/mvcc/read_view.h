// SPDX-License-Identifier: Apache-2.0
// ReadView: the store at one published root. A stack value (an epoch slot and a pointer): take it,
// read, let it go within the same turn, because replaced index nodes wait for it. Reads are never
// blocked and never block apply. Copies nothing from the index but what it returns.
//
// HeldView: for work that goes on over several turns or more than 64 keys (range pool, streams,
// hash). It keeps only a revision, registered so that collection leaves that revision readable, and
// enters again on the newest root at each step. It carries a cancel flag: a view that held up
// collection for 60 s, or the oldest one when retired memory exceeds its limit, ends with
// kCompacted.
//
// Any thread; one object by one thread at a time. A view must not outlive its MvccStore.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/base/key_range.h"
#include "store/base/thread.h"
#include "store/engine/engine.h"
#include "store/mvcc/epoch.h"
#include "store/mvcc/event.h"
#include "store/mvcc/range.h"

#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace store::mvcc {

class KeyMeta;
class MvccStore;
class RangeReader;
struct IndexRoot;
struct RangeRow;

// What ReadView::FindKeys has found; good while its view lives.
struct KeyPlace {
  bool known = false;             // somebody has looked
  const KeyMeta* meta = nullptr;  // null: the index has no such key
};

class ReadView {
 public:
  ReadView(ReadView&&) = default;
  ReadView& operator=(ReadView&&) = default;

  Revision current() const;
  // Reads below fail. -1: never compacted.
  Revision compacted() const;
  // kFutureRevision above current(), kCompacted below compacted(). Negative revisions are
  // compacted, as inside a Txn; 0 is fine.
  Status CheckRevision(Revision at) const;

  // kFutureRevision, kCompacted, or an engine error. Values of the result are shared with the
  // engine. `place`: of the query's single key, if FindKeys of this view has looked for it.
  Result<RangeResult> Range(const RangeQuery& query, KeyPlace place = {}) const;
  // From memory. `at` <= 0 is the newest revision; nullopt: the key does not exist there (also
  // below compacted()).
  std::optional<KeyFacts> Lookup(std::string_view key, Revision at = Revision()) const;
  // The key with its value.
  Result<std::optional<KeyValue>> Get(std::string_view key, Revision at = Revision()) const;
  // Before Ranges of these single keys: finds many side by side, where each Range alone would wait
  // for one cache miss after the other, and asks for what they will look at. places[i] is that of
  // keys[i]; with so few keys in all that it would not pay they stay unknown.
  void FindKeys(std::span<const std::string_view> keys, std::span<KeyPlace> places) const;
  // Live keys of the range at the newest revision, O(log n).
  int64_t Count(const KeyRange& range) const;
  // Keeps the engine of this root open.
  std::shared_ptr<engine::Engine> engine() const;
  // Keys in ascending order until `visit` returns false; from memory.
  void ForEach(const KeyRange& range, Revision at,
               absl::FunctionRef<bool(std::string_view key, const KeyFacts& facts)> visit) const;

 private:
  friend class MvccStore;
  friend class HeldView;
  friend class RangeStream;
  ReadView(EpochDomain::Guard guard, const IndexRoot* root)
      : guard_(std::move(guard)), root_(root) {}

  EpochDomain::Guard guard_;
  const IndexRoot* root_;
};

// Views held across turns. Its mutex guards the list only.
class ViewRegistry {
 public:
  struct Entry {
    Revision revision;
    std::atomic<bool> cancelled{false};
  };
  using Handle = std::list<Entry>::iterator;

  Handle Add(Revision revision);
  void Remove(Handle handle);
  // Lowest revision a registered, uncancelled view may read; nullopt without views.
  std::optional<Revision> Lowest() const;
  // Returns how many were cancelled now.
  size_t CancelBelow(Revision revision);
  size_t CancelOldest();
  size_t CancelAll();
  size_t size() const;

 private:
  mutable Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // oldest first
};

class HeldView {
 public:
  HeldView(HeldView&& other) noexcept;
  HeldView& operator=(HeldView&&) = delete;
  ~HeldView();

  Revision revision() const { return entry_->revision; }
  bool cancelled() const { return entry_->cancelled.load(std::memory_order_relaxed); }
  // The newest root; read it at revision(). kCompacted when cancelled.
  Result<ReadView> Enter() const;
  // As ReadView::Range at revision() (query.at is ignored), but enters again every 64 keys.
  Result<RangeResult> Range(const RangeQuery& query) const;
  // As ReadView::ForEach at revision(), in steps of 64 keys. kCompacted when cancelled on the way.
  Status ForEach(const KeyRange& range,
                 absl::FunctionRef<bool(std::string_view key, const KeyFacts& facts)> visit) const;

 private:
  friend class MvccStore;
  friend class RangeStream;
  HeldView(const MvccStore* store, ViewRegistry::Handle entry) : store_(store), entry_(entry) {}
  // Collects all of `reader`, 64 keys per root; `current` is the revision of the first root.
  Status Read(RangeReader& reader, Revision* current) const;
  Status Load(std::span<RangeRow> rows) const;

  const MvccStore* store_;  // null: moved from
  ViewRegistry::Handle entry_;
};

struct RangeChunk {
  std::vector<KeyValue> kvs;
  bool last = false;
  // Set in the last chunk:
  int64_t count = 0;
  bool more = false;
  Revision current;
};

// A Range in key order in pieces of bounded size, at one revision. Order and filters of the query
// are not supported here (the caller refuses them).
class RangeStream {
 public:
  RangeStream(HeldView view, RangeQuery query);

  // At most `bytes_max` of keys and values, but always one key. Call until a chunk is `last`.
  Result<RangeChunk> Next(size_t bytes_max);

 private:
  Status Count();

  HeldView view_;
  RangeQuery query_;  // range.from and limit move on
  bool begun_ = false;
  int64_t count_ = 0;  // known after the first step, as is current_
  Revision current_;
};

}  // namespace store::mvcc
