// SPDX-License-Identifier: Apache-2.0
// MaintenanceService: Status, Alarm, Hash, HashKV, Defragment and MoveLeader of
// etcdserverpb.Maintenance. Status is answered at once from what this member knows; alarms go
// through the log; hashes and defragmentation run on the maintenance threads, which the server
// lends as MaintenanceHooks. Handlers on the loops; bounded by PendingCalls and by what the hooks
// take.
#pragma once

#include "store/api/service_context.h"
#include "store/base/timing.h"

#include <absl/functional/any_invocable.h>
#include <etcd/rpc.pb.h>

namespace store::api {

// Called from any loop. False: refused, busy or stopping; then the argument is not used.
struct MaintenanceHooks {
  // Full compaction of the engine; `done` from any thread.
  absl::AnyInvocable<bool(absl::AnyInvocable<void(store::Status)> done) const> defragment;
  // Long reads.
  absl::AnyInvocable<bool(Action&& action) const> run_hash;
  Timing hash_timing{};      // Hash
  Timing hash_rev_timing{};  // HashKV
};

class MaintenanceService {
 public:
  MaintenanceService(const ServiceContext& context, MaintenanceHooks hooks)
      : context_(context), hooks_(std::move(hooks)) {}
  MaintenanceService(const MaintenanceService&) = delete;
  MaintenanceService& operator=(const MaintenanceService&) = delete;

  void Register(rpc::MethodTable& table) const;

 private:
  using StatusCall = rpc::Call<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse>;
  using AlarmCall = rpc::Call<etcdserverpb::AlarmRequest, etcdserverpb::AlarmResponse>;
  using HashCall = rpc::Call<etcdserverpb::HashRequest, etcdserverpb::HashResponse>;
  using HashKvCall = rpc::Call<etcdserverpb::HashKVRequest, etcdserverpb::HashKVResponse>;
  using DefragmentCall =
      rpc::Call<etcdserverpb::DefragmentRequest, etcdserverpb::DefragmentResponse>;

  using DowngradeCall = rpc::Call<etcdserverpb::DowngradeRequest, etcdserverpb::DowngradeResponse>;
  using MoveCall = rpc::Call<etcdserverpb::MoveLeaderRequest, etcdserverpb::MoveLeaderResponse>;

  void Status(StatusCall call) const;
  void FillSizes(const apply::StateView& state, etcdserverpb::StatusResponse* response) const;
  void Alarm(AlarmCall call) const;
  void Hash(HashCall call) const;
  void HashKv(HashKvCall call) const;
  void Defragment(DefragmentCall call) const;
  void MoveLeader(MoveCall call) const;
  void Downgrade(DowngradeCall call) const;
  void ChangeDowngrade(DowngradeCall call, bool enabled, const std::string& target) const;

  const ServiceContext& context_;
  const MaintenanceHooks hooks_;
};

}  // namespace store::api
