// SPDX-License-Identifier: Apache-2.0
// GrpcMetrics: the counters of every method under the names of go-grpc-prometheus, which etcd
// exports and its dashboards read: started, handled by code, messages received and sent; and the
// bytes of all their messages. All rows are there from the start, at 0. Made once when the table is
// complete; goes before the registry and the table. Scrapes come from any thread.
#pragma once

#include "store/base/metrics.h"
#include "store/rpc/call.h"

#include <vector>

namespace store::api {

class GrpcMetrics {
 public:
  GrpcMetrics(Registry& registry, const rpc::MethodTable& methods);
  GrpcMetrics(const GrpcMetrics&) = delete;
  GrpcMetrics& operator=(const GrpcMetrics&) = delete;

 private:
  void AddMethod(Registry& registry, const rpc::Method& method);
  void AddBytes(Registry& registry, const rpc::MethodTable& methods);

  std::vector<Registry::CallbackHandle> handles_;
};

}  // namespace store::api
