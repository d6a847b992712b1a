// SPDX-License-Identifier: Apache-2.0
// HealthService: grpc.health.v1 for the whole server (service name ""). SERVING from registration
// until SetServing(false). Check on the loops; Watch streams get the state now and at each change.
// SetServing from any thread. Bounded: one list entry per open Watch stream.
#pragma once

#include "store/base/thread.h"
#include "store/rpc/call.h"

#include <health.pb.h>

#include <atomic>
#include <memory>
#include <vector>

namespace store::api {

class HealthService {
 public:
  HealthService() = default;
  HealthService(const HealthService&) = delete;
  HealthService& operator=(const HealthService&) = delete;

  void Register(rpc::MethodTable& table);
  void SetServing(bool serving);
  bool serving() const { return serving_.load(std::memory_order_relaxed); }

 private:
  using Request = grpc::health::v1::HealthCheckRequest;
  using Response = grpc::health::v1::HealthCheckResponse;
  using WatchCall = rpc::Stream<Request, Response>;
  struct Watcher {
    Executor* executor = nullptr;
    std::weak_ptr<rpc::RawCall> call;
  };

  Response Now() const;
  void Check(rpc::Call<Request, Response> call) const;
  void Watch(WatchCall stream, const Request& request);

  std::atomic<bool> serving_{true};
  Mutex mutex_;
  std::vector<Watcher> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace store::api
