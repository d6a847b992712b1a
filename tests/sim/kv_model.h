// SPDX-License-Identifier: Apache-2.0
// KvModel: what the committed log means, written down as plainly as possible: each key's versions
// in a list, never forgotten. It is given every committed command once, in order, and says what its
// caller must be told; reads of any revision and the events of any range come from the same lists.
// Knows the requests that the simulated load makes; anything else ends the run. One thread; grows
// with the run.
#pragma once

#include "store/base/error.h"
#include "store/base/key_range.h"
#include "store_command.pb.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/member_model.h"

#include <etcd/rpc.pb.h>
#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace store::sim {

struct ModelEvent {
  std::string key;
  bool deleted = false;
};

struct ModelLease {
  int64_t ttl_seconds = 0;
  std::set<std::string> keys;
  Time ended = -1;       // when its revoke was first applied; -1: it lives
  bool expired = false;  // ended by the leader, not by a client
};

class KvModel {
 public:
  // `now`: for the leases' ends.
  ModelAnswer Apply(const sluice::store::Command& command, Time now);
  // A configuration change.
  ModelAnswer Apply(const raft::ConfChange& change, const sluice::store::MembershipChange& command);

  int64_t revision() const { return revision_; }
  int64_t compacted() const { return compacted_; }
  // Everything but the header; `at` in [1, revision()].
  etcdserverpb::RangeResponse Range(const etcdserverpb::RangeRequest& request, int64_t at) const;
  std::optional<mvccpb::KeyValue> Get(const std::string& key, int64_t at) const;
  // In their order.
  const std::vector<ModelEvent>& EventsAt(int64_t revision) const;
  MemberModel& members() { return members_; }
  const MemberModel& members() const { return members_; }
  const std::map<int64_t, ModelLease>& leases() const { return leases_; }
  // A value that was ever put.
  bool HasValue(const std::string& value) const { return values_.contains(value); }

 private:
  struct Version {
    int64_t mod = 0;
    int64_t create = 0;
    int64_t version = 0;
    int64_t lease = 0;
    std::string value;
    bool deleted = false;
  };
  using Branch = google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>;

  const Version* Find(const std::string& key, int64_t at) const;
  static mvccpb::KeyValue ToProto(const std::string& key, const Version& version);
  bool Holds(const etcdserverpb::Compare& compare) const;
  static bool HoldsFor(const etcdserverpb::Compare& compare, const Version* version);
  bool AllHold(const etcdserverpb::TxnRequest& request) const;
  ErrorCode Refusal(const etcdserverpb::TxnRequest& request) const;

  // Changes of the transaction at revision_ + 1; End makes it the newest if there were any.
  void PutOne(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response);
  void DeleteSome(const KeyRange& range, bool prev_kv, etcdserverpb::DeleteRangeResponse* response);
  void Record(const std::string& key, Version version);
  void MoveLease(const std::string& key, int64_t from, int64_t to);
  void RunTxn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response);
  void End();

  ModelAnswer Done() const;
  ModelAnswer AtRevision(ModelAnswer answer) const;
  ModelAnswer Refuse(ErrorCode error) const;
  ModelAnswer Put(const etcdserverpb::PutRequest& request);
  ModelAnswer Delete(const etcdserverpb::DeleteRangeRequest& request);
  ModelAnswer Txn(const etcdserverpb::TxnRequest& request);
  ModelAnswer Compact(const etcdserverpb::CompactionRequest& request);
  ModelAnswer Grant(const etcdserverpb::LeaseGrantRequest& request);
  ModelAnswer Revoke(const sluice::store::LeaseRevokeBatch& request, bool by_leader, Time now);
  ModelAnswer Checkpoint(const etcdserverpb::LeaseCheckpointRequest& request);

  std::map<std::string, std::vector<Version>> keys_;
  std::map<int64_t, std::vector<ModelEvent>> events_;
  std::map<int64_t, ModelLease> leases_;
  std::set<std::string> values_;
  MemberModel members_;
  int64_t revision_ = 1;
  int64_t compacted_ = -1;
};

}  // namespace store::sim
