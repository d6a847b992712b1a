// SPDX-License-Identifier: Apache-2.0
#include "store/api/health_service.h"

#include "store/api/errors.h"

#include <utility>

namespace store::api {

HealthService::Response HealthService::Now() const {
  Response response;
  response.set_status(serving() ? Response::SERVING : Response::NOT_SERVING);
  return response;
}

void HealthService::Register(rpc::MethodTable& table) {
  table.AddUnary<Request, Response>(
      "/grpc.health.v1.Health/Check",
      [this](rpc::Call<Request, Response> call) { Check(std::move(call)); });
  table.AddStream<Request, Response>(
      "/grpc.health.v1.Health/Watch",
      [this](WatchCall stream) {
        stream.OnMessage([this, stream](Request&& request) { Watch(stream, request); });
        stream.OnStop([stream]() mutable { stream.Finish(StatusOf(ErrorCode::kStopped)); });
      },
      rpc::MethodKind::kServerStream);
}

void HealthService::Check(rpc::Call<Request, Response> call) const {
  if (!call.request().service().empty()) {
    return call.Fail({rpc::GrpcCode::kNotFound, "unknown service"});
  }
  call.Reply(Now());
}

void HealthService::Watch(WatchCall stream, const Request& request) {
  if (!request.service().empty()) {
    Response unknown;
    unknown.set_status(Response::SERVICE_UNKNOWN);
    stream.Write(unknown);
    return;
  }
  {
    MutexLock lock(mutex_);
    std::erase_if(watchers_, [](const Watcher& watcher) { return watcher.call.expired(); });
    watchers_.push_back({stream.info().executor, stream.raw()});
  }
  stream.Write(Now());
}

void HealthService::SetServing(bool serving) {
  if (serving_.exchange(serving) == serving) return;
  MutexLock lock(mutex_);
  for (const Watcher& watcher : watchers_) {
    // Locked on the loop only, so that a call's last handle goes there.
    watcher.executor->Post([this, weak = watcher.call] {
      if (auto call = weak.lock(); call && !call->done()) call->Send(rpc::Encode(Now()));
    });
  }
}

}  // namespace store::api
