// SPDX-License-Identifier: Apache-2.0
// Random commands over few keys and leases, so that they meet often, and a plain model that says
// what each of them does: maps, no sharing, no batches. Everything comes from one Random.
#pragma once

#include "store/base/error.h"
#include "store/base/random.h"
#include "store_command.pb.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace store::apply {

// One random command; about a tenth of them is refused.
sluice::store::Command RandomCommand(Random& random);

class Model {
 public:
  struct Row {
    std::string value;
    int64_t create = 0;
    int64_t mod = 0;
    int64_t version = 0;
    int64_t lease = 0;
  };
  using Rows = std::map<std::string, Row>;

  ErrorCode Do(const sluice::store::Command& command);

  int64_t revision() const { return revision_; }
  int64_t compacted() const { return compacted_; }
  // As Machine::Keys prints them.
  std::string Keys() const { return Text(rows_); }
  // The keys as they were at a revision that is not compacted.
  std::string KeysAt(int64_t revision) const { return Text(history_.at(revision)); }
  // "id: key key ..." of every lease.
  std::string Leases() const;
  // The response of the last transaction: succeeded, then what each operation returned.
  const std::string& txn_trace() const { return trace_; }

 private:
  static std::string Text(const Rows& rows);
  ErrorCode Put(const etcdserverpb::PutRequest& request);
  ErrorCode Txn(const etcdserverpb::TxnRequest& request);
  ErrorCode Revoke(int64_t id);
  ErrorCode Compact(int64_t revision);
  ErrorCode CheckPut(const etcdserverpb::PutRequest& request) const;
  ErrorCode CheckOps(const etcdserverpb::TxnRequest& request, bool held) const;
  bool Holds(const etcdserverpb::Compare& compare) const;
  void ApplyPut(const etcdserverpb::PutRequest& request);
  int64_t ApplyDelete(const etcdserverpb::DeleteRangeRequest& request);
  void Finish(bool changed);

  Rows rows_;
  std::map<int64_t, Rows> history_ = {{1, {}}};
  std::map<int64_t, int64_t> leases_;
  int64_t revision_ = 1;
  int64_t compacted_ = -1;
  std::string trace_;
};

}  // namespace store::apply
