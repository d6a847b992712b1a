// SPDX-License-Identifier: Apache-2.0
// ClusterService: etcdserverpb.Cluster. Changes of the membership become requests to the leader
// (store/replica/membership.h); new peer URLs are a command; the answer is apply's. Headers of this
// service carry no revision. Handlers on the loops; bounded by PendingCalls.
#pragma once

#include "store/api/service_context.h"
#include "store/base/clock.h"

#include <etcd/rpc.pb.h>

namespace store::api {

class ClusterService {
 public:
  // `clock` outlives it: the id of a new member depends on the second in which it is added.
  ClusterService(const ServiceContext& context, const Clock& clock)
      : context_(context), clock_(clock) {}
  ClusterService(const ClusterService&) = delete;
  ClusterService& operator=(const ClusterService&) = delete;

  void Register(rpc::MethodTable& table) const;

 private:
  using ListCall = rpc::Call<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse>;
  using AddCall = rpc::Call<etcdserverpb::MemberAddRequest, etcdserverpb::MemberAddResponse>;
  using RemoveCall =
      rpc::Call<etcdserverpb::MemberRemoveRequest, etcdserverpb::MemberRemoveResponse>;
  using UpdateCall =
      rpc::Call<etcdserverpb::MemberUpdateRequest, etcdserverpb::MemberUpdateResponse>;
  using PromoteCall =
      rpc::Call<etcdserverpb::MemberPromoteRequest, etcdserverpb::MemberPromoteResponse>;

  void List(ListCall call) const;
  void Add(AddCall call) const;
  void Remove(RemoveCall call) const;
  void Update(UpdateCall call) const;
  void Promote(PromoteCall call) const;

  const ServiceContext& context_;
  const Clock& clock_;
};

}  // namespace store::api
