// SPDX-License-Identifier: Apache-2.0
// WriteTxn: the effects of one transaction while they are applied. Every change goes into the
// engine batch and the writer's index at once, so later operations of the transaction, and later
// transactions of the batch, see it; readers see it after MvccStore::Publish. All changes share one
// main revision; sub counts them in order. There is no rollback: check everything that can fail
// before the first change. Nothing here reads the disk except Value and Range. Apply thread only;
// one at a time.
#pragma once

#include "store/base/bytes.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/base/key_range.h"
#include "store/engine/engine.h"
#include "store/mvcc/event.h"
#include "store/mvcc/range.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace store::mvcc {

class MvccStore;

struct PutOutcome {
  std::optional<KeyFacts> before;  // nullopt: the key did not exist
  KeyFacts after;
};
struct DeletedKey {
  SharedBytes key;
  KeyFacts before;
};

class WriteTxn {
 public:
  WriteTxn(WriteTxn&& other) noexcept;
  WriteTxn& operator=(WriteTxn&&) = delete;
  // Changes must have been committed.
  ~WriteTxn();

  // Revision the changes will have.
  Revision next() const { return next_; }
  // Newest revision as an operation of this transaction sees it (its header): next() once something
  // changed.
  Revision now() const { return changed() ? next_ : next_ - 1; }
  bool changed() const { return sub_ > 0; }

  PutOutcome Put(SharedBytes key, SharedBytes value, LeaseId lease);
  // Deleted keys in ascending order; empty: nothing changed.
  std::vector<DeletedKey> DeleteRange(const KeyRange& range);

  // The newest state, own changes included.
  std::optional<KeyFacts> Lookup(std::string_view key) const;
  int64_t Count(const KeyRange& range) const;
  // Live keys in ascending order until `visit` returns false. `visit` must not change the
  // transaction.
  void ForEach(const KeyRange& range,
               absl::FunctionRef<bool(std::string_view key, const KeyFacts& facts)> visit) const;
  // Value of the record that `facts` describe, also when it is still in the running batch or has
  // just been replaced by this batch.
  Result<SharedBytes> Value(const KeyFacts& facts) const;
  // The key with its value as `facts` describe it (a prev_kv).
  Result<KeyValue> Load(SharedBytes key, const KeyFacts& facts) const;
  // query.at <= 0: newest, own changes included. result.current is now().
  Result<RangeResult> Range(const RangeQuery& query) const;
  // Against the state before this transaction: kFutureRevision, kCompacted (negative included); 0
  // is fine.
  Status CheckRevision(Revision at) const;

  // Ends the transaction; returns now(). Without changes it costs no revision.
  Revision Commit();

 private:
  friend class MvccStore;
  WriteTxn(MvccStore* store, engine::WriteBatch* batch, Revision next)
      : store_(store), batch_(batch), next_(next) {}

  MvccStore* store_;  // null: moved from or committed
  engine::WriteBatch* batch_;
  Revision next_;
  uint32_t sub_ = 0;  // changes so far
};

}  // namespace store::mvcc
