// SPDX-License-Identifier: Apache-2.0
// Compares of a transaction, over either kind of state: a published view (read-only transactions,
// at the edge) or the transaction that is being applied. ReadSource is what both can do. All but
// VALUE compares are answered from memory. Any thread that may read the source; nothing is kept.
#pragma once

#include "store/base/error.h"
#include "store/base/key_range.h"
#include "store/mvcc/range.h"
#include "store/mvcc/read_view.h"
#include "store/mvcc/write_txn.h"

#include <absl/functional/function_ref.h>
#include <etcd/rpc.pb.h>

#include <optional>
#include <string_view>

namespace store::apply {

class ReadSource {
 public:
  using Visit = absl::FunctionRef<bool(std::string_view key, const mvcc::KeyFacts& facts)>;

  virtual std::optional<mvcc::KeyFacts> Lookup(std::string_view key) const = 0;
  virtual void ForEach(const KeyRange& range, Visit visit) const = 0;
  virtual Result<mvcc::RangeResult> Range(const mvcc::RangeQuery& query) const = 0;
  virtual Status CheckRevision(Revision at) const = 0;
  virtual ~ReadSource() = default;
};

class ViewSource final : public ReadSource {
 public:
  explicit ViewSource(const mvcc::ReadView& view) : view_(view) {}
  std::optional<mvcc::KeyFacts> Lookup(std::string_view key) const override {
    return view_.Lookup(key);
  }
  void ForEach(const KeyRange& range, Visit visit) const override {
    view_.ForEach(range, Revision(), visit);
  }
  Result<mvcc::RangeResult> Range(const mvcc::RangeQuery& query) const override {
    return view_.Range(query);
  }
  Status CheckRevision(Revision at) const override { return view_.CheckRevision(at); }

 private:
  const mvcc::ReadView& view_;
};

class TxnSource final : public ReadSource {
 public:
  explicit TxnSource(const mvcc::WriteTxn& txn) : txn_(txn) {}
  std::optional<mvcc::KeyFacts> Lookup(std::string_view key) const override {
    return txn_.Lookup(key);
  }
  void ForEach(const KeyRange& range, Visit visit) const override { txn_.ForEach(range, visit); }
  Result<mvcc::RangeResult> Range(const mvcc::RangeQuery& query) const override {
    return txn_.Range(query);
  }
  Status CheckRevision(Revision at) const override { return txn_.CheckRevision(at); }

 private:
  const mvcc::WriteTxn& txn_;
};

// Whether the compare holds: for every key of its range, or, if there is none, for one absent key,
// whose numbers are 0 and whose value compares to nothing. Errors are of the engine.
Result<bool> Holds(const ReadSource& source, const etcdserverpb::Compare& compare);

}  // namespace store::apply
