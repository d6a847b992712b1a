// SPDX-License-Identifier: Apache-2.0
// StoreServices: the production services of one simulated process on its simulated loops, and the
// door for simulated clients: calls by method path, with the bytes of the messages. Dies with the
// process; calls that are open then are severed.
#pragma once

#include "store/api/call_budget.h"
#include "store/api/cluster_service.h"
#include "store/api/kv_service.h"
#include "store/api/lease_service.h"
#include "store/api/maintenance_service.h"
#include "store/api/pending_calls.h"
#include "store/api/service_context.h"
#include "store/api/watch_service.h"
#include "tests/sim/host.h"
#include "tests/sim/sim_call.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace store::sim {

class StoreProcess;

class StoreServices {
 public:
  explicit StoreServices(StoreProcess& process);
  ~StoreServices();
  StoreServices(const StoreServices&) = delete;
  StoreServices& operator=(const StoreServices&) = delete;

  // On that loop.
  void Post(LoopId loop, absl::AnyInvocable<void(replica::Edge&)> tell);
  size_t waiting() const;
  // The first loop.
  Executor& executor() { return *loops_.front().thread; }

  // A unary call starts with its message, a stream without.
  std::shared_ptr<SimCall> Call(std::string_view path, std::string request, SimCall::Client client);

 private:
  struct Loop {
    std::unique_ptr<SimThread> thread;
    std::unique_ptr<api::PendingCalls> pending;
  };
  api::PendingOptions OptionsOf(uint32_t loop) const;
  void Register();

  StoreProcess& process_;
  api::CallBudget budget_;
  std::vector<Loop> loops_;
  std::unique_ptr<api::ServiceContext> context_;
  rpc::MethodTable methods_;
  std::unique_ptr<api::KvService> kv_;
  std::unique_ptr<api::WatchService> watch_;
  std::unique_ptr<api::LeaseService> lease_;
  std::unique_ptr<api::ClusterService> cluster_;
  std::unique_ptr<api::MaintenanceService> maintenance_;
  std::vector<std::weak_ptr<SimCall>> calls_;
  size_t sweep_at_ = 64;
  SimPool pool_;  // the first to go
};

}  // namespace store::sim
