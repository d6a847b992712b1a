// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_services.h"

#include "store/base/check.h"
#include "tests/sim/store_process.h"

#include <utility>

namespace store::sim {
namespace {

constexpr Time kSimulatedWork = 2 * kMillisecond;

}  // namespace

StoreServices::StoreServices(StoreProcess& process)
    : process_(process),
      budget_(process.options_.pending_calls_max),
      pool_(process.host_, kSimulatedWork) {
  for (int i = 0; i < process_.options_.loops; ++i) {
    Loop loop;
    loop.thread =
        std::make_unique<SimThread>(process_.host_, process_.clock_, process_.options_.turn_mean);
    loop.pending = std::make_unique<api::PendingCalls>(OptionsOf(static_cast<uint32_t>(i)),
                                                       static_cast<replica::ReplicaDoor&>(process_),
                                                       *loop.thread, budget_, process_.gauges_);
    loops_.push_back(std::move(loop));
  }
  api::ServiceLimits limits;
  limits.quota_bytes = process_.options_.apply.quota_bytes;
  limits.heartbeat = std::chrono::microseconds(process_.options_.tick);
  limits.election_timeout = process_.config_.election_timeout;
  std::vector<api::PendingCalls*> pending;
  for (Loop& loop : loops_) pending.push_back(loop.pending.get());
  context_ = std::make_unique<api::ServiceContext>(api::ServiceContext{
      .header = api::HeaderSource({ClusterId(1), process_.self_.node.value()}, process_.gauges_),
      .gauges = process_.gauges_,
      .state = *process_.machine_,
      .door = process_,
      .range_pool =
          [this](Action&& action) {
            pool_.Run(std::move(action));
            return true;
          },
      .limits = limits,
      .loops = std::move(pending)});
  Register();
}

api::PendingOptions StoreServices::OptionsOf(uint32_t loop) const {
  api::PendingOptions options;
  options.member = process_.self_.node.value();
  options.boot_nonce = process_.self_.boot_nonce;
  options.loop = LoopId(loop);
  options.request_timeout = process_.options_.request_timeout;
  return options;
}

void StoreServices::Register() {
  kv_ = std::make_unique<api::KvService>(*context_);
  kv_->Register(methods_);
  watch_ = std::make_unique<api::WatchService>(*context_, *process_.hub_);
  watch_->Register(methods_);
  lease_ = std::make_unique<api::LeaseService>(*context_, process_.host_.random().Next());
  lease_->Register(methods_);
  cluster_ = std::make_unique<api::ClusterService>(*context_, process_.clock_);
  cluster_->Register(methods_);
  api::MaintenanceHooks hooks;
  hooks.defragment = [](absl::AnyInvocable<void(store::Status)>) { return false; };
  hooks.run_hash = [this](Action&& action) {
    pool_.Run(std::move(action));
    return true;
  };
  maintenance_ = std::make_unique<api::MaintenanceService>(*context_, std::move(hooks));
  maintenance_->Register(methods_);
}

StoreServices::~StoreServices() {
  for (const std::weak_ptr<SimCall>& weak : calls_) {
    if (auto call = weak.lock()) call->Sever();
  }
}

void StoreServices::Post(LoopId loop, absl::AnyInvocable<void(replica::Edge&)> tell) {
  Loop& target = loops_.at(loop.value());
  target.thread->Post(
      [edge = target.pending.get(), tell = std::move(tell)]() mutable { tell(*edge); });
}

size_t StoreServices::waiting() const {
  size_t sum = 0;
  for (const Loop& loop : loops_) sum += loop.pending->waiting();
  return sum;
}

std::shared_ptr<SimCall> StoreServices::Call(std::string_view path, std::string request,
                                             SimCall::Client client) {
  const rpc::Method* method = methods_.Find(path);
  CHECK(method != nullptr, "no method {}", path);
  auto number = static_cast<uint32_t>(process_.host_.random().Below(loops_.size()));
  SimThread& thread = *loops_[number].thread;
  rpc::CallInfo info;
  info.method = method->path;
  info.executor = &thread;
  info.loop = LoopId(number);
  auto call = std::make_shared<SimCall>(std::move(info), thread, process_.host_, std::move(client));
  if (calls_.size() >= sweep_at_) {
    std::erase_if(calls_, [](const auto& weak) { return weak.expired(); });
    sweep_at_ = 2 * calls_.size() + 64;
  }
  calls_.push_back(call);
  thread.Post([method, call, request = std::move(request)]() mutable {
    if (!call->done()) method->start(call, SharedBytes::Of(std::move(request)));
  });
  return call;
}

}  // namespace store::sim
