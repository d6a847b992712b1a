// SPDX-License-Identifier: Apache-2.0
// StoreLoad: what clients ask of a simulated group: puts, deletes, ranges, transactions, leases,
// watches, compactions, hashes, each at its pace, at any member. Values are unique, so an
// answer can be told from any other. What comes back goes to ClientChecks at once. One thread;
// bounded by StoreOptions.
#pragma once

#include "tests/sim/client_calls.h"
#include "tests/sim/pacer.h"
#include "tests/sim/store_group.h"
#include "tests/sim/watch_follower.h"

#include <etcd/rpc.pb.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace store::sim {

class StoreLoad {
 public:
  StoreLoad(const StoreOptions& options, StoreGroup* group, ClientCalls* calls, Pacer* pacer);

  const std::vector<std::shared_ptr<WatchFollower>>& watches() const { return watches_; }
  // One put at that member; true once one of them was acknowledged.
  void PutLast(raft::NodeId node);
  bool last_done() const { return last_done_; }

 private:
  struct LeaseRow {
    int64_t id = 0;
    bool kept = true;  // its client still keeps it alive
  };

  StoreProcess* AnyProcess(Random& random);
  std::string Key(Random& random);
  std::string Value(Random& random);
  int64_t SomeLease(Random& random);
  void DrawRange(Random& random, std::string* key, std::string* range_end);
  int64_t SomeRevision(Random& random);
  etcdserverpb::RequestOp DrawOp(Random& random, uint64_t* next, int depth);
  void DrawTxn(Random& random, uint64_t* next, int depth, etcdserverpb::TxnRequest* request);
  etcdserverpb::Compare DrawCompare(Random& random);

  template <class Response, class Request, class Done>
  void Call(StoreProcess* process, std::string_view path, const Request& request, Done done) {
    calls_.Call<Response>(process, path, request, std::move(done));
  }

  void Put(Random& random);
  void Delete(Random& random);
  void Range(Random& random);
  void Stream(Random& random);
  void Txn(Random& random);
  void Grant(Random& random);
  void KeepAlive(Random& random);
  void Revoke(Random& random);
  void TimeToLive(Random& random);
  void Watch(Random& random);
  void Compact(Random& random);
  void Hash(Random& random);

  const StoreOptions& options_;
  StoreGroup& group_;
  ClientCalls& calls_;
  uint64_t values_ = 0;
  std::vector<LeaseRow> leases_;
  std::deque<int64_t> asked_;  // leases that calls ask for, also when they have ended
  std::vector<std::shared_ptr<WatchFollower>> watches_;
  bool last_done_ = false;
};

}  // namespace store::sim
