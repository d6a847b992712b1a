// SPDX-License-Identifier: Apache-2.0
// ClientChecks: what clients may be told, against the model of the committed log (testing.md 2.2,
// checked as answers come): a store like this tells the order of its writes, so real time and
// contents are compared at the revision an answer names, without a search. Every method returns the
// first broken rule as a sentence, or nothing. One thread.
#pragma once

#include "store/mvcc/mvcc_store.h"
#include "store/rpc/call.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/kv_model.h"

#include <etcd/rpc.pb.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace store::sim {

// What was known when a call began.
struct CallStart {
  Time at = 0;
  int64_t seen = 0;              // the newest revision any client had been told
  int64_t member_compacted = 0;  // of the member that is asked
};

class ClientChecks {
 public:
  ClientChecks(const EventQueue& events, const KvModel& model, double fastest_clock)
      : events_(events), model_(model), fastest_clock_(fastest_clock) {}

  int64_t seen() const { return seen_; }
  CallStart Start(int64_t member_compacted) const {
    return {events_.now(), seen_, member_compacted};
  }

  std::string Range(const CallStart& start, const etcdserverpb::RangeRequest& request,
                    const rpc::RpcStatus& status, const etcdserverpb::RangeResponse& response);
  std::string Put(const CallStart& start, const etcdserverpb::PutRequest& request,
                  const rpc::RpcStatus& status, const etcdserverpb::PutResponse& response);
  std::string Delete(const CallStart& start, const rpc::RpcStatus& status,
                     const etcdserverpb::DeleteRangeResponse& response);
  std::string Txn(const CallStart& start, const etcdserverpb::TxnRequest& request,
                  const rpc::RpcStatus& status, const etcdserverpb::TxnResponse& response);
  std::string Hash(const etcdserverpb::HashKVResponse& response);

  // Leases: granted or kept alive by a call that began then; ended just now.
  std::string LeaseKept(int64_t id, int64_t ttl_seconds, Time sent);
  std::string LeaseEnded(int64_t id);
  void LeaseRevoked(int64_t id) { revoked_.try_emplace(id, events_.now()); }
  std::string TimeToLive(const CallStart& start, int64_t id, int64_t ttl_seconds) const;

  // A member's own state, whole, at its newest revision.
  std::string Contents(const mvcc::MvccStore& store) const;
  // Whatever was compacted and collected meanwhile.
  std::string Held(const mvcc::HeldView& view) const;

  // Any answer that names a revision.
  std::string Saw(int64_t revision);
  // At the end: nothing that was refused has happened.
  std::string Refused() const;

 private:
  struct Kept {
    int64_t ttl_seconds = 0;
    Time sent = 0;
  };
  std::string CheckKept(int64_t id, const Kept& kept) const;
  std::string Whole(const Result<mvcc::RangeResult>& result, int64_t at) const;
  std::string NotNewer(const CallStart& start, int64_t revision, bool changed) const;
  std::string Value(const std::string& key, const std::string& value, int64_t revision) const;

  const EventQueue& events_;
  const KvModel& model_;
  const double fastest_clock_;  // its rate
  int64_t seen_ = 1;
  std::set<std::string> refused_;                           // values
  std::map<std::pair<int64_t, int64_t>, uint32_t> hashes_;  // (revision, compacted)
  std::map<int64_t, Kept> kept_;
  std::map<int64_t, Time> revoked_;  // and when a client was told
};

// The answer says that nothing happened and nothing will.
bool IsRefusal(const rpc::RpcStatus& status);

}  // namespace store::sim
