// SPDX-License-Identifier: Apache-2.0
// ClusterService: etcdserverpb.Cluster, for now MemberList. Headers of this service carry no
// revision. Handlers on the loops; bounded by PendingCalls.
#pragma once

#include "store/api/service_context.h"

#include <etcd/rpc.pb.h>

namespace store::api {

class ClusterService {
 public:
  explicit ClusterService(const ServiceContext& context) : context_(context) {}
  ClusterService(const ClusterService&) = delete;
  ClusterService& operator=(const ClusterService&) = delete;

  void Register(rpc::MethodTable& table) const;

 private:
  using ListCall = rpc::Call<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse>;

  void AnswerList(ListCall call) const;

  const ServiceContext& context_;
};

}  // namespace store::api
