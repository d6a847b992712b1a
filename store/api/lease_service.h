// SPDX-License-Identifier: Apache-2.0
// LeaseService: etcdserverpb.Lease. Grant and revoke go through the log; ids are chosen here,
// because apply must not draw numbers. Keep-alive, time-to-live and the list are answered by the
// lease clockwork of the replica; the keys of a lease are read on the apply thread, which owns
// them. Threads: handlers on the loops. Bounded by PendingCalls, keep-alive streams included: each
// unanswered request is a waiting call.
#pragma once

#include "store/api/leader_monitor.h"
#include "store/api/service_context.h"
#include "store/base/random.h"

#include <etcd/rpc.pb.h>

#include <memory>
#include <vector>

namespace store::api {

class LeaseService {
 public:
  // `seed`: of the lease ids.
  LeaseService(const ServiceContext& context, uint64_t seed);
  ~LeaseService();
  LeaseService(const LeaseService&) = delete;
  LeaseService& operator=(const LeaseService&) = delete;

  void Register(rpc::MethodTable& table);

 private:
  using GrantCall = rpc::Call<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>;
  using RevokeCall = rpc::Call<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>;
  using TtlCall =
      rpc::Call<etcdserverpb::LeaseTimeToLiveRequest, etcdserverpb::LeaseTimeToLiveResponse>;
  using ListCall = rpc::Call<etcdserverpb::LeaseLeasesRequest, etcdserverpb::LeaseLeasesResponse>;
  using KeepAliveStream =
      rpc::Stream<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>;
  struct Loop {
    Random ids;
    LeaderMonitor monitor;
  };

  void Grant(GrantCall call);
  void Revoke(RevokeCall call) const;
  void TimeToLive(TtlCall call) const;
  void AnswerTimeToLive(TtlCall call, const replica::LeaseAnswer& answer) const;
  void List(ListCall call) const;
  void KeepAlive(KeepAliveStream stream);

  const ServiceContext& context_;
  std::vector<std::unique_ptr<Loop>> loops_;  // index: LoopId
};

}  // namespace store::api
