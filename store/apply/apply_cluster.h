// SPDX-License-Identifier: Apache-2.0
// Cluster: the replicated facts about members (who, their addresses, the agreed version) and the
// alarms, with the commands and configuration changes that alter them. Owner: the state machine.
// Apply thread only; readers get the shared, immutable copies. Bounded by the number of members and
// membership changes.
#pragma once

#include "store/apply/scope.h"
#include "store/cluster/alarm_table.h"
#include "store/cluster/cluster_table.h"
#include "store/raft/types.h"
#include "store_command.pb.h"

#include <etcd/membership.pb.h>
#include <etcd/rpc.pb.h>
#include <google/protobuf/message_lite.h>

#include <memory>

namespace store::apply {

class Cluster {
 public:
  Cluster();

  Status Restore(const engine::Engine& engine);

  cluster::ClusterTable& table() { return table_; }
  const cluster::ClusterTable& table() const { return table_; }
  // Never null.
  const std::shared_ptr<const cluster::AlarmTable>& alarms() const { return shared_alarms_; }

  CallResult Alarm(const CommandScope& scope, const etcdserverpb::AlarmRequest& request);
  CallResult PublishMember(const CommandScope& scope,
                           const membershippb::ClusterMemberAttrSetRequest& request);
  CallResult SetVersion(const CommandScope& scope,
                        const membershippb::ClusterVersionSetRequest& request);

  // Refused while another one is under way: who asked could not know.
  CallResult SetDowngrade(const CommandScope& scope,
                          const membershippb::DowngradeInfoSetRequest& request);

  CallResult UpdateMember(const CommandScope& scope,
                          const etcdserverpb::MemberUpdateRequest& request);

  // Decides a configuration change when it is applied: `conf` is the configuration it would change.
  // What raft may do with it is decision.change, kNone when membership refuses (decision.error
  // says why). kCorruption when the context and the kind do not fit together.
  struct Decision {
    raft::ConfChange change;
    ErrorCode error = ErrorCode::kOk;
  };
  Result<Decision> Decide(const raft::ConfChange& change,
                          const sluice::store::MembershipChange& command,
                          const raft::ConfState& conf, engine::WriteBatch& batch);
  // The response of a change that was made, to the member that waits for it.
  std::unique_ptr<google::protobuf::MessageLite> ResponseOf(
      const sluice::store::MembershipChange& command, raft::NodeId node) const;

 private:
  ErrorCode Add(const raft::ConfChange& change, const sluice::store::MembershipChange& command,
                engine::WriteBatch& batch);
  ErrorCode Promote(raft::NodeId id, engine::WriteBatch& batch);
  ErrorCode Remove(raft::NodeId id, const raft::ConfState& conf, engine::WriteBatch& batch);
  // true: something changed.
  bool ChangeAlarm(const etcdserverpb::AlarmRequest& request, cluster::Alarm alarm,
                   engine::WriteBatch& batch);

  cluster::ClusterTable table_;
  cluster::AlarmTable alarms_;
  std::shared_ptr<const cluster::AlarmTable> shared_alarms_;
};

// As the API shows a member.
void ToProto(const cluster::Member& from, etcdserverpb::Member* to);

}  // namespace store::apply
