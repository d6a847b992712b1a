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

#include <etcd/membership.pb.h>
#include <etcd/rpc.pb.h>

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

  // Decides a configuration change whose context is a membershippb.Member: what raft may do with it
  // (kNone when membership refuses: a removed id, a second add). kCorruption when the context is no
  // member.
  Result<raft::ConfChange> Decide(const raft::ConfChange& change, engine::WriteBatch& batch);

 private:
  // true: something changed.
  bool ChangeAlarm(const etcdserverpb::AlarmRequest& request, cluster::Alarm alarm,
                   engine::WriteBatch& batch);

  cluster::ClusterTable table_;
  cluster::AlarmTable alarms_;
  std::shared_ptr<const cluster::AlarmTable> shared_alarms_;
};

}  // namespace store::apply
