// SPDX-License-Identifier: Apache-2.0
// MemberModel: what the committed log means for the membership, as plainly as possible: who
// belongs to the group, who never may again, and what the caller of each change must be told. One
// thread; grows with the number of changes.
#pragma once

#include "store/base/error.h"
#include "store/cluster/member.h"
#include "store/raft/types.h"
#include "store_command.pb.h"

#include <etcd/membership.pb.h>
#include <etcd/rpc.pb.h>
#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace store::sim {

struct ModelAnswer {
  ErrorCode error = ErrorCode::kOk;
  int64_t revision = 0;                                     // of the header
  std::unique_ptr<google::protobuf::MessageLite> response;  // null: an empty one
};

class MemberModel {
 public:
  void Begin(const std::vector<cluster::Member>& founders);

  // Without the revision.
  ModelAnswer Change(const raft::ConfChange& change,
                     const sluice::store::MembershipChange& command);
  ModelAnswer Update(const etcdserverpb::MemberUpdateRequest& request);
  void Publish(const membershippb::ClusterMemberAttrSetRequest& request);

  const std::map<raft::NodeId, etcdserverpb::Member>& members() const { return members_; }
  bool WasRemoved(raft::NodeId id) const { return removed_.contains(id); }
  raft::ConfState Conf() const;
  // How many changes were made.
  uint64_t changes() const { return changes_; }

 private:
  ErrorCode Add(const raft::ConfChange& change, const sluice::store::MembershipChange& command);
  ErrorCode Promote(raft::NodeId id);
  ErrorCode Remove(raft::NodeId id);
  bool Taken(const std::string& url, raft::NodeId except) const;
  template <class Response>
  std::unique_ptr<Response> Listed() const;

  std::map<raft::NodeId, etcdserverpb::Member> members_;
  std::set<raft::NodeId> removed_;
  uint64_t changes_ = 0;
};

}  // namespace store::sim
