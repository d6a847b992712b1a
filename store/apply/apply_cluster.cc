// SPDX-License-Identifier: Apache-2.0
#include "store/apply/apply_cluster.h"

#include "store/apply/sys_rows.h"
#include "store/engine/sys_keys.h"

#include <string>
#include <utility>

namespace store::apply {
namespace {

using cluster::AlarmKind;
using engine::SysSection;
using engine::Table;
using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;

// kNone for NONE and for kinds this release does not know: such requests change nothing.
AlarmKind KindOf(etcdserverpb::AlarmType type) {
  switch (type) {
    case etcdserverpb::NOSPACE:
      return AlarmKind::kNoSpace;
    case etcdserverpb::CORRUPT:
      return AlarmKind::kCorrupt;
    default:
      return AlarmKind::kNone;
  }
}

void AddTo(AlarmResponse* response, const cluster::Alarm& alarm) {
  auto* member = response->add_alarms();
  member->set_memberid(alarm.member);
  member->set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.kind));
}

Result<cluster::Member> MemberOf(const raft::ConfChange& change) {
  membershippb::Member message;
  if (!message.ParseFromString(change.context)) {
    return Fail(ErrorCode::kCorruption, "a configuration change does not describe a member");
  }
  cluster::Member member;
  member.id = change.node;
  member.name = message.member_attributes().name();
  for (const std::string& url : message.raft_attributes().peer_urls()) {
    member.peer_urls.push_back(url);
  }
  for (const std::string& url : message.member_attributes().client_urls()) {
    member.client_urls.push_back(url);
  }
  member.learner = change.kind == raft::ConfChangeKind::kAddLearner;
  return member;
}

}  // namespace

Cluster::Cluster() : shared_alarms_(std::make_shared<const cluster::AlarmTable>()) {}

Status Cluster::Restore(const engine::Engine& engine) {
  RETURN_IF_ERROR(table_.Restore(engine));
  alarms_ = cluster::AlarmTable();
  auto rows = engine.Scan(Table::kSys, engine::SysKey(SysSection::kAlarm),
                          engine::SysSectionEnd(SysSection::kAlarm), {});
  for (; rows->Valid(); rows->Next()) {
    auto alarm = DecodeAlarm(rows->key());
    RETURN_IF_ERROR(alarm);
    alarms_.Activate(*alarm);
  }
  shared_alarms_ = std::make_shared<const cluster::AlarmTable>(alarms_);
  return rows->status();
}

bool Cluster::ChangeAlarm(const AlarmRequest& request, cluster::Alarm alarm,
                          engine::WriteBatch& batch) {
  if (request.action() == AlarmRequest::ACTIVATE) {
    if (!alarms_.Activate(alarm)) return false;
    batch.Put(Table::kSys, AlarmKey(alarm), {});
    return true;
  }
  if (!alarms_.Deactivate(alarm)) return false;
  batch.Delete(Table::kSys, AlarmKey(alarm));
  return true;
}

CallResult Cluster::Alarm(const CommandScope& scope, const AlarmRequest& request) {
  CallResult result = Done(scope.store.pending_current());
  auto response = std::make_unique<AlarmResponse>();
  cluster::Alarm wanted{request.memberid(), KindOf(request.alarm())};
  if (request.action() == AlarmRequest::GET) {
    for (const cluster::Alarm& alarm : alarms_.alarms()) {
      bool listed = request.alarm() == etcdserverpb::NONE || alarm.kind == wanted.kind;
      if (listed) AddTo(response.get(), alarm);
    }
  } else if (wanted.kind != AlarmKind::kNone) {
    bool activates = request.action() == AlarmRequest::ACTIVATE;
    bool changed = ChangeAlarm(request, wanted, scope.batch);
    if (changed) shared_alarms_ = std::make_shared<const cluster::AlarmTable>(alarms_);
    // One that was active already is listed too; one that was not cannot be disarmed.
    if (activates || changed) AddTo(response.get(), wanted);
  }
  if (scope.answer) result.response = std::move(response);
  return result;
}

CallResult Cluster::PublishMember(const CommandScope& scope,
                                  const membershippb::ClusterMemberAttrSetRequest& request) {
  const membershippb::Attributes& attributes = request.member_attributes();
  std::vector<std::string> urls(attributes.client_urls().begin(), attributes.client_urls().end());
  // A member that was removed meanwhile publishes in vain.
  (void)table_.Publish(raft::NodeId(request.member_id()), attributes.name(), std::move(urls),
                       scope.batch);
  return Done(scope.store.pending_current());
}

CallResult Cluster::SetVersion(const CommandScope& scope,
                               const membershippb::ClusterVersionSetRequest& request) {
  table_.SetVersion(request.ver(), scope.batch);
  return Done(scope.store.pending_current());
}

Result<raft::ConfChange> Cluster::Decide(const raft::ConfChange& change,
                                         engine::WriteBatch& batch) {
  raft::ConfChange refused;
  refused.node = change.node;
  switch (change.kind) {
    case raft::ConfChangeKind::kNone:
      return refused;
    case raft::ConfChangeKind::kRemove:
      return table_.Remove(change.node, batch) ? change : refused;
    case raft::ConfChangeKind::kAddVoter:
      if (table_.Find(change.node) != nullptr) {
        return table_.Promote(change.node, batch) ? change : refused;
      }
      break;
    case raft::ConfChangeKind::kAddLearner:
      break;
  }
  auto member = MemberOf(change);
  RETURN_IF_ERROR(member);
  return table_.Add(*member, batch) ? change : refused;
}

}  // namespace store::apply
