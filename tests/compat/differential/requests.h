// SPDX-License-Identifier: Apache-2.0
// Requests: the seeded author of the differential test. Every step it draws is one request to both
// stores: mostly small and sensible ones on few keys, so that they meet, and at every place now and
// then the odd value: empty keys, ends before the key, revisions before, at and after what exists,
// unknown enum numbers, leases that are not there. The same seed and dialect give the same steps
// as long as the stores answer the same. Threads: one.
#pragma once

#include "etcd/rpc.pb.h"
#include "store/base/random.h"
#include "tests/compat/differential/wire.h"
#include "tests/compat/differential/world.h"

#include <cstdint>
#include <string>
#include <vector>

namespace compat {

struct Step {
  enum class Kind : uint8_t {
    kUnary,
    kRangeStream,
    kKeepAlive,
    kWatch,       // one request on watch stream `stream`, which is opened first if it is not
    kWatchClose,  // the client ends its half
    kExpire,      // waits until a lease of the least TTL has run out
  };
  Kind kind = Kind::kUnary;
  std::string method;  // "KV/Put"
  MessagePtr request;
  size_t stream = 0;
};

class Requests {
 public:
  static constexpr size_t kWatchStreams = 3;
  // Leases with ids of the stores' choice are called by numbers from here on.
  static constexpr int64_t kChosenLeases = 0x7a00000000000000;

  // For the old dialects it leaves out the requests after which etcd 3.4 is in another state than
  // newer releases, or at its end, so that nothing after them could be compared (README.md).
  Requests(store::Random random, Dialect dialect)
      : random_(random), dialect_(dialect), old_(dialect != Dialect::kNewest) {}

  Step Next(const World& world);
  Step Expire();

 private:
  bool Chance(double p) { return random_.Chance(p); }
  template <typename T>
  const T& Pick(const std::vector<T>& choices) {
    return choices[random_.Below(choices.size())];
  }

  std::string Key();
  std::string SomeKey();  // never empty
  std::string RangeEnd(const std::string& key);
  std::string Value();
  int64_t ReadRevision(const World& world);
  int64_t SmallNumber(const World& world);
  int64_t SomeLease(const World& world);

  void FillRange(const World& world, bool in_txn, etcdserverpb::RangeRequest& range);
  void FillPut(const World& world, bool in_txn, etcdserverpb::PutRequest& put);
  void FillDelete(etcdserverpb::DeleteRangeRequest& request);
  void FillCompare(const World& world, etcdserverpb::Compare& compare);
  void FillOp(const World& world, int depth, etcdserverpb::RequestOp& op);
  void FillTxn(const World& world, int depth, etcdserverpb::TxnRequest& txn);

  Step Unary(std::string method, MessagePtr request);
  Step KvStep(const World& world, uint64_t draw);
  Step LeaseStep(const World& world);
  Step Grant(const World& world);
  Step WatchStep(const World& world);
  Step CreateWatch(const World& world, size_t stream);
  Step MaintenanceStep(const World& world);

  store::Random random_;
  const Dialect dialect_;
  const bool old_;
  int64_t next_lease_ = 1000;
};

}  // namespace compat
