// SPDX-License-Identifier: Apache-2.0
#include "store/api/lease_service.h"

#include "store/api/keep_alive_call.h"
#include "store/apply/quota.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace store::api {
namespace {

using sluice::store::Command;
using Kind = replica::LeaseRequest::Kind;

// 1.5 election timeouts, as etcd reckons in whole heartbeats, in whole seconds, rounded up: a lease
// must outlive an election.
int64_t TtlMin(const ServiceLimits& limits) {
  Duration shortest = 3 * (limits.election_timeout / limits.heartbeat) / 2 * limits.heartbeat;
  return std::chrono::ceil<std::chrono::seconds>(shortest).count();
}

// Positive, 63 bits.
int64_t DrawId(Random& random) {
  uint64_t most = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(random.Between(1, most));
}

// The keys of a lease belong to the apply thread.
Result<rpc::MessageBody> WithKeys(const ServiceContext& context,
                                  etcdserverpb::LeaseTimeToLiveResponse response) {
  if (!context.MayAnswer()) return Fail(ErrorCode::kTooManyRequests);
  if (const lease::Lease* lease = context.state.leases().Find(LeaseId(response.id()))) {
    for (const std::string& key : lease->keys) response.add_keys(key);
  }
  return rpc::Encode(response);
}

}  // namespace

LeaseService::LeaseService(const ServiceContext& context, uint64_t seed) : context_(context) {
  for (size_t i = 0; i < context.loops.size(); ++i) {
    loops_.push_back(std::make_unique<Loop>(
        Loop{Random(seed + i), LeaderMonitor(context.loops[i]->executor(), context.gauges,
                                             context.limits.election_timeout)}));
  }
}

LeaseService::~LeaseService() = default;

void LeaseService::Register(rpc::MethodTable& table) {
  using namespace etcdserverpb;
  table.AddUnary<LeaseGrantRequest, LeaseGrantResponse>(
      "/etcdserverpb.Lease/LeaseGrant", [this](GrantCall call) { Grant(std::move(call)); });
  table.AddUnary<LeaseRevokeRequest, LeaseRevokeResponse>(
      "/etcdserverpb.Lease/LeaseRevoke", [this](RevokeCall call) { Revoke(std::move(call)); });
  table.AddUnary<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>(
      "/etcdserverpb.Lease/LeaseTimeToLive", [this](TtlCall call) { TimeToLive(std::move(call)); });
  table.AddUnary<LeaseLeasesRequest, LeaseLeasesResponse>(
      "/etcdserverpb.Lease/LeaseLeases", [this](ListCall call) { List(std::move(call)); });
  table.AddStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(
      "/etcdserverpb.Lease/LeaseKeepAlive",
      [this](KeepAliveStream stream) { KeepAlive(std::move(stream)); });
}

void LeaseService::Grant(GrantCall call) {
  if (Room room = context_.TakeRoom(apply::CostOf(call.request())); room != Room::kEnough) {
    return RefuseNoSpace(context_, room, std::move(call));
  }
  Command command;
  auto& grant = *command.mutable_lease_grant();
  grant = std::move(call.mutable_request());
  if (grant.id() == 0) grant.set_id(DrawId(loops_.at(call.info().loop.value())->ids));
  grant.set_ttl(std::max(grant.ttl(), TtlMin(context_.limits)));
  ProposeCall(context_, std::move(call), command);
}

void LeaseService::Revoke(RevokeCall call) const {
  Command command;
  command.mutable_lease_revoke()->add_ids(call.request().id());
  ProposeCall(context_, std::move(call), command);
}

void LeaseService::TimeToLive(TtlCall call) const {
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context_.At(call.info().loop);
  LeaseId lease(call.request().id());
  CallHandle handle =
      pending.Lease(Kind::kTimeToLive, lease,
                    [this, call = std::move(call)](const replica::LeaseAnswer& answer) mutable {
                      AnswerTimeToLive(std::move(call), answer);
                    });
  DropOnCancel(raw, pending, handle);
}

void LeaseService::AnswerTimeToLive(TtlCall call, const replica::LeaseAnswer& answer) const {
  bool unknown = answer.error == ErrorCode::kLeaseNotFound;
  if (answer.error != ErrorCode::kOk && !unknown) return call.Fail(StatusOf(answer.error));
  etcdserverpb::LeaseTimeToLiveResponse response;
  context_.header.Fill(context_.state.mvcc().current(), response.mutable_header());
  response.set_id(call.request().id());
  response.set_ttl(unknown ? -1 : answer.ttl_seconds);
  response.set_grantedttl(unknown ? 0 : answer.granted_seconds);
  if (unknown || !call.request().keys()) return call.Reply(response);
  if (!context_.MayAnswer()) return call.Fail(StatusOf(ErrorCode::kTooManyRequests));
  auto finish = std::make_shared<FinishCall>(ParkCall(context_, std::move(call)));
  if (!*finish) return;
  bool taken = context_.door.TryRunOnApply(
      [&context = context_, finish, response = std::move(response)]() mutable {
        (*finish)(WithKeys(context, std::move(response)));
      });
  if (!taken) (*finish)(Fail(ErrorCode::kTooManyRequests));
}

void LeaseService::List(ListCall call) const {
  if (!context_.MayAnswer()) return call.Fail(StatusOf(ErrorCode::kTooManyRequests));
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context_.At(call.info().loop);
  CallHandle handle = pending.Lease(
      Kind::kList, LeaseId(),
      [this, call = std::move(call)](const replica::LeaseAnswer& answer) mutable {
        if (answer.error != ErrorCode::kOk) return call.Fail(StatusOf(answer.error));
        // Of a thousand that ask at once, the later ones see what the earlier ones were sent.
        if (!context_.MayAnswer()) return call.Fail(StatusOf(ErrorCode::kTooManyRequests));
        etcdserverpb::LeaseLeasesResponse response;
        context_.header.Fill(context_.state.mvcc().current(), response.mutable_header());
        for (LeaseId id : *answer.leases) response.add_leases()->set_id(id.value());
        call.Reply(response);
      });
  DropOnCancel(raw, pending, handle);
}

void LeaseService::KeepAlive(KeepAliveStream stream) {
  LeaderMonitor& monitor = loops_.at(stream.info().loop.value())->monitor;
  std::make_shared<KeepAliveCall>(context_, std::move(stream), monitor)->Start();
}

}  // namespace store::api
