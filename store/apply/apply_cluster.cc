// SPDX-License-Identifier: Apache-2.0
#include "store/apply/apply_cluster.h"

#include "store/apply/sys_rows.h"
#include "store/engine/sys_keys.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace store::apply {
namespace {

using cluster::AlarmKind;
using engine::SysSection;
using engine::Table;
using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using sluice::store::MembershipChange;

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

cluster::Member MemberOf(const raft::ConfChange& change, const membershippb::Member& message) {
  cluster::Member member;
  member.id = change.node;
  member.name = message.member_attributes().name();
  const auto& peer_urls = message.raft_attributes().peer_urls();
  member.peer_urls.assign(peer_urls.begin(), peer_urls.end());
  const auto& client_urls = message.member_attributes().client_urls();
  member.client_urls.assign(client_urls.begin(), client_urls.end());
  member.learner = change.kind == raft::ConfChangeKind::kAddLearner;
  return member;
}

bool Fits(MembershipChange::Verb verb, raft::ConfChangeKind kind) {
  using Kind = raft::ConfChangeKind;
  switch (verb) {
    case MembershipChange::ADD:
      return kind == Kind::kAddVoter || kind == Kind::kAddLearner;
    case MembershipChange::PROMOTE:
      return kind == Kind::kAddVoter;
    case MembershipChange::REMOVE:
      return kind == Kind::kRemove;
    default:
      return false;
  }
}

template <class Response>
std::unique_ptr<Response> WithMembers(const cluster::MemberList& members) {
  auto response = std::make_unique<Response>();
  for (const cluster::Member& member : members) ToProto(member, response->add_members());
  return response;
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

CallResult Cluster::SetDowngrade(const CommandScope& scope,
                                 const membershippb::DowngradeInfoSetRequest& request) {
  CallResult result = Done(scope.store.pending_current());
  if (request.enabled() && table_.downgrade()->enabled) {
    result.error = ErrorCode::kDowngradeInProgress;
    return result;
  }
  table_.SetDowngrade({request.enabled(), request.ver()}, scope.batch);
  return result;
}

CallResult Cluster::UpdateMember(const CommandScope& scope,
                                 const etcdserverpb::MemberUpdateRequest& request) {
  CallResult result = Done(scope.store.pending_current());
  raft::NodeId id(request.id());
  std::vector<std::string> urls(request.peerurls().begin(), request.peerurls().end());
  if (table_.Find(id) == nullptr) {
    result.error = ErrorCode::kMemberNotFound;
  } else if (table_.UrlTaken(urls, id)) {
    result.error = ErrorCode::kPeerUrlExists;
  } else {
    table_.SetPeerUrls(id, std::move(urls), scope.batch);
    if (scope.answer) {
      result.response = WithMembers<etcdserverpb::MemberUpdateResponse>(*table_.members());
    }
  }
  return result;
}

ErrorCode Cluster::Add(const raft::ConfChange& change, const MembershipChange& command,
                       engine::WriteBatch& batch) {
  cluster::Member member = MemberOf(change, command.member());
  if (table_.Find(change.node) != nullptr) return ErrorCode::kMemberExists;
  if (table_.UrlTaken(member.peer_urls, change.node)) return ErrorCode::kPeerUrlExists;
  if (member.learner && table_.learners() + 1 > command.learners_max()) {
    return ErrorCode::kTooManyLearners;
  }
  table_.Add(member, batch);
  return ErrorCode::kOk;
}

ErrorCode Cluster::Promote(raft::NodeId id, engine::WriteBatch& batch) {
  if (table_.Find(id) == nullptr) return ErrorCode::kMemberNotFound;
  return table_.Promote(id, batch) ? ErrorCode::kOk : ErrorCode::kMemberNotLearner;
}

ErrorCode Cluster::Remove(raft::NodeId id, const raft::ConfState& conf, engine::WriteBatch& batch) {
  // Raft keeps its last voter, so membership must too.
  bool last_voter = conf.voters.size() == 1 && conf.voters.front() == id;
  if (last_voter) return ErrorCode::kMemberNotEnoughStarted;
  return table_.Remove(id, batch) ? ErrorCode::kOk : ErrorCode::kMemberNotFound;
}

Result<Cluster::Decision> Cluster::Decide(const raft::ConfChange& change,
                                          const MembershipChange& command,
                                          const raft::ConfState& conf, engine::WriteBatch& batch) {
  if (!Fits(command.verb(), change.kind)) {
    return Fail(
        ErrorCode::kCorruption,
        fmt::format("a configuration change of kind {} says it is {}",
                    static_cast<int>(change.kind), MembershipChange::Verb_Name(command.verb())));
  }
  Decision decision{change, ErrorCode::kOk};
  if (table_.WasRemoved(change.node)) {
    decision.error = ErrorCode::kMemberNotFound;
  } else if (command.verb() == MembershipChange::REMOVE) {
    decision.error = Remove(change.node, conf, batch);
  } else if (command.verb() == MembershipChange::PROMOTE) {
    decision.error = Promote(change.node, batch);
  } else {
    decision.error = Add(change, command, batch);
  }
  // The context has done its work; raft and the replica need only the rest.
  decision.change.context.clear();
  if (decision.error != ErrorCode::kOk) decision.change.kind = raft::ConfChangeKind::kNone;
  return decision;
}

std::unique_ptr<google::protobuf::MessageLite> Cluster::ResponseOf(const MembershipChange& command,
                                                                   raft::NodeId node) const {
  const cluster::MemberList& members = *table_.members();
  if (command.verb() == MembershipChange::REMOVE) {
    return WithMembers<etcdserverpb::MemberRemoveResponse>(members);
  }
  if (command.verb() == MembershipChange::PROMOTE) {
    return WithMembers<etcdserverpb::MemberPromoteResponse>(members);
  }
  auto response = WithMembers<etcdserverpb::MemberAddResponse>(members);
  if (const cluster::Member* added = table_.Find(node)) {
    ToProto(*added, response->mutable_member());
  }
  return response;
}

void ToProto(const cluster::Member& from, etcdserverpb::Member* to) {
  to->set_id(from.id.value());
  to->set_name(from.name);
  for (const std::string& url : from.peer_urls) to->add_peerurls(url);
  for (const std::string& url : from.client_urls) to->add_clienturls(url);
  to->set_islearner(from.learner);
}

}  // namespace store::apply
