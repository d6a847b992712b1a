// SPDX-License-Identifier: Apache-2.0
#include "store/api/maintenance_service.h"

#include "store/base/crc32c.h"
#include "store/cluster/version.h"
#include "store/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::api {
namespace {

using etcdserverpb::HashKVResponse;

// The text form of protobuf, in which zero values are left out; newer releases end it without the
// blank of 3.4.
std::string AlarmText(const cluster::Alarm& alarm) {
  std::string_view kind = alarm.kind == cluster::AlarmKind::kNoSpace ? "NOSPACE" : "CORRUPT";
  if (alarm.member == 0) return fmt::format("alarm:{}", kind);
  return fmt::format("memberID:{} alarm:{}", alarm.member, kind);
}

Result<uint32_t> HashTable(const engine::Engine& engine, engine::Table table, uint32_t crc) {
  engine::ScanOptions options;
  options.fill_cache = false;
  auto rows = engine.Scan(table, {}, {}, options);
  for (; rows->Valid(); rows->Next()) {
    crc = Crc32c(rows->key(), crc);
    crc = Crc32c(rows->value(), crc);
  }
  RETURN_IF_ERROR(rows->status());
  return crc;
}

// Over everything stored; comparable only between equal builds.
Result<rpc::MessageBody> HashAll(const ServiceContext& context) {
  Revision current = context.state.mvcc().current();
  auto engine = context.state.mvcc().engine();
  uint32_t crc = 0;
  for (auto table : {engine::Table::kRev, engine::Table::kVal, engine::Table::kSys}) {
    auto hash = HashTable(*engine, table, crc);
    RETURN_IF_ERROR(hash);
    crc = *hash;
  }
  etcdserverpb::HashResponse response;
  context.header.Fill(current, response.mutable_header());
  response.set_hash(crc);
  return rpc::Encode(response);
}

Result<rpc::MessageBody> HashHistory(const ServiceContext& context, Revision at) {
  auto hash = context.state.mvcc().HashByRevision(at);
  RETURN_IF_ERROR(hash);
  HashKVResponse response;
  context.header.Fill(hash->current, response.mutable_header());
  response.set_hash(hash->hash);
  response.set_compact_revision(hash->compacted.value());
  response.set_hash_revision(hash->at.value());
  return rpc::Encode(response);
}

ErrorCode CheckDowngrade(const apply::StateView& state, const cluster::Version& target) {
  auto current = cluster::ParseVersion(*state.cluster_version);
  if (!current) return ErrorCode::kNoClusterVersion;
  if (cluster::DowngradeTarget(*current) != target) return ErrorCode::kInvalidDowngradeTarget;
  return state.downgrade->enabled ? ErrorCode::kDowngradeInProgress : ErrorCode::kOk;
}

// With the cluster version, as major.minor.
template <class Call>
void ReplyDowngrade(const ServiceContext& context, Call& call) {
  apply::StateRef state = context.state.Read();
  etcdserverpb::DowngradeResponse response;
  context.header.Fill(state->current, response.mutable_header());
  response.set_version(cluster::MajorMinor(*state->cluster_version));
  call.Reply(response);
}

}  // namespace

void MaintenanceService::Register(rpc::MethodTable& table) const {
  using namespace etcdserverpb;
  table.AddUnary<StatusRequest, StatusResponse>(
      "/etcdserverpb.Maintenance/Status", [this](StatusCall call) { Status(std::move(call)); });
  table.AddUnary<AlarmRequest, AlarmResponse>("/etcdserverpb.Maintenance/Alarm",
                                              [this](AlarmCall call) { Alarm(std::move(call)); });
  table.AddUnary<HashRequest, HashResponse>("/etcdserverpb.Maintenance/Hash",
                                            [this](HashCall call) { Hash(std::move(call)); });
  table.AddUnary<HashKVRequest, HashKVResponse>(
      "/etcdserverpb.Maintenance/HashKV", [this](HashKvCall call) { HashKv(std::move(call)); });
  table.AddUnary<DefragmentRequest, DefragmentResponse>(
      "/etcdserverpb.Maintenance/Defragment",
      [this](DefragmentCall call) { Defragment(std::move(call)); });
  table.AddUnary<MoveLeaderRequest, MoveLeaderResponse>(
      "/etcdserverpb.Maintenance/MoveLeader",
      [this](MoveCall call) { MoveLeader(std::move(call)); });
  table.AddUnary<DowngradeRequest, DowngradeResponse>(
      "/etcdserverpb.Maintenance/Downgrade",
      [this](DowngradeCall call) { Downgrade(std::move(call)); });
}

void MaintenanceService::FillSizes(const apply::StateView& state,
                                   etcdserverpb::StatusResponse* response) const {
  engine::EngineSizes sizes = context_.state.mvcc().engine()->Sizes();
  // Never 0: etcdctl divides by it.
  uint64_t size =
      std::max({sizes.disk_bytes + sizes.memtable_bytes, state.logical_bytes, uint64_t{4096}});
  response->set_dbsize(static_cast<int64_t>(size));
  response->set_dbsizeinuse(static_cast<int64_t>(std::max(state.logical_bytes, uint64_t{4096})));
  response->set_dbsizequota(context_.limits.quota_bytes);
}

void MaintenanceService::Status(StatusCall call) const {
  const replica::RaftGauges& gauges = context_.gauges;
  apply::StateRef state = context_.state.Read();
  etcdserverpb::StatusResponse response;
  context_.header.Fill(state->current, response.mutable_header());
  response.set_version(std::string(cluster::kServerVersion));
  FillSizes(*state, &response);
  response.set_leader(gauges.leader.load(std::memory_order_relaxed));
  response.set_raftindex(gauges.commit.load(std::memory_order_relaxed));
  response.set_raftappliedindex(state->applied.value());
  response.set_raftterm(response.header().raft_term());
  response.set_islearner(gauges.is_learner.load(std::memory_order_relaxed));
  if (state->cluster_version != nullptr) response.set_storageversion(*state->cluster_version);
  response.mutable_downgradeinfo()->set_enabled(state->downgrade->enabled);
  response.mutable_downgradeinfo()->set_targetversion(state->downgrade->target);
  if (response.leader() == 0) response.add_errors(StatusOf(ErrorCode::kNoLeader).message);
  for (const cluster::Alarm& alarm : state->alarms->alarms()) {
    response.add_errors(AlarmText(alarm));
  }
  call.Reply(response);
}

void MaintenanceService::Alarm(AlarmCall call) const {
  sluice::store::Command command;
  *command.mutable_alarm() = std::move(call.mutable_request());
  ProposeCall(context_, std::move(call), command);
}

void MaintenanceService::Hash(HashCall call) const {
  auto finish = std::make_shared<FinishCall>(ParkCall(context_, std::move(call)));
  if (!*finish) return;
  bool taken = hooks_.run_hash([this, finish] {
    const TimePoint began = hooks_.hash_timing.Begin();
    auto hash = HashAll(context_);
    hooks_.hash_timing.End(began);
    (*finish)(std::move(hash));
  });
  if (!taken) (*finish)(Fail(ErrorCode::kTooManyRequests));
}

void MaintenanceService::HashKv(HashKvCall call) const {
  Revision at(call.request().revision());
  auto finish = std::make_shared<FinishCall>(ParkCall(context_, std::move(call)));
  if (!*finish) return;
  bool taken = hooks_.run_hash([this, finish, at] {
    const TimePoint began = hooks_.hash_rev_timing.Begin();
    auto hash = HashHistory(context_, at);
    hooks_.hash_rev_timing.End(began);
    (*finish)(std::move(hash));
  });
  if (!taken) (*finish)(Fail(ErrorCode::kTooManyRequests));
}

// The answer has no header, as etcd's.
void MaintenanceService::Defragment(DefragmentCall call) const {
  auto finish = std::make_shared<FinishCall>(ParkCall(context_, std::move(call)));
  if (!*finish) return;
  bool taken = hooks_.defragment([finish](store::Status done) {
    if (!done) return (*finish)(Fail(done.error()));
    (*finish)(rpc::MessageBody());
  });
  if (!taken) (*finish)(Fail(ErrorCode::kTooManyRequests));
}

// VALIDATE and ENABLE judge what a linearizable read sees; CANCEL succeeds in any case.
void MaintenanceService::Downgrade(DowngradeCall call) const {
  using Request = etcdserverpb::DowngradeRequest;
  const int action = call.request().action();
  if (action == Request::CANCEL) return ChangeDowngrade(std::move(call), false, {});
  if (action != Request::VALIDATE && action != Request::ENABLE) {
    return call.Fail(StatusOf(ErrorCode::kUnknownMethod));
  }
  auto target = cluster::ParseVersion(call.request().version());
  if (!target) return call.Fail(StatusOf(ErrorCode::kWrongDowngradeFormat));
  target->patch = 0;
  AwaitRead(context_, std::move(call), /*serializable=*/false,
            [this, target = *target, enables = action == Request::ENABLE](DowngradeCall judged) {
              ErrorCode code = CheckDowngrade(*context_.state.Read(), target);
              if (code != ErrorCode::kOk) return judged.Fail(StatusOf(code));
              if (enables) return ChangeDowngrade(std::move(judged), true, ToString(target));
              ReplyDowngrade(context_, judged);
            });
}

void MaintenanceService::ChangeDowngrade(DowngradeCall call, bool enabled,
                                         const std::string& target) const {
  sluice::store::Command command;
  command.mutable_downgrade_info()->set_enabled(enabled);
  command.mutable_downgrade_info()->set_ver(target);
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context_.At(call.info().loop);
  CallHandle handle =
      pending.Propose(command, raw->info().deadline,
                      [this, call = std::move(call)](const apply::CallResult& result) mutable {
                        if (result.error != ErrorCode::kOk) {
                          return call.Fail(StatusOf(result.error));
                        }
                        ReplyDowngrade(context_, call);
                      });
  DropOnCancel(raw, pending, handle);
}

// The answer has no header, as etcd's.
void MaintenanceService::MoveLeader(MoveCall call) const {
  if (!context_.gauges.is_leader.load(std::memory_order_relaxed)) {
    return call.Fail(StatusOf(ErrorCode::kNotLeader));
  }
  raft::NodeId to(call.request().targetid());
  if (!IsVoter(*context_.state.Read(), to.value())) {
    return call.Fail(StatusOf(ErrorCode::kBadLeaderTransferee));
  }
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context_.At(call.info().loop);
  auto done = [call = std::move(call)](apply::CallResult result) mutable {
    ErrorCode told = result.error;
    if (told == ErrorCode::kOk) return call.Reply(rpc::MessageBody());
    // Whichever clock was first: the call's or the replica's.
    bool late = told == ErrorCode::kTimeout || told == ErrorCode::kTimeoutLeaderFailure;
    call.Fail(StatusOf(late ? ErrorCode::kTimeoutLeaderTransfer : told));
  };
  CallHandle handle = pending.Admin(
      [to](const apply::RequestId&) -> decltype(replica::AdminRequest::what) {
        return replica::LeaderMove{to};
      },
      raw->info().deadline, std::move(done));
  DropOnCancel(raw, pending, handle);
}

}  // namespace store::api
