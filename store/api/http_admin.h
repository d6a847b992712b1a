// SPDX-License-Identifier: Apache-2.0
// HttpAdmin: the plain HTTP endpoints of the client port: /health, /livez and /readyz with their
// sub-paths, /version and /metrics, with etcd's bodies byte for byte, and the CORS headers every
// answer carries; those of a port for metrics are fewer. Handlers on the loops; reads wait in
// PendingCalls like those of clients.
#pragma once

#include "store/api/service_context.h"
#include "store/base/metrics.h"
#include "store/rpc/http_router.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::api {

// GET /version, of both ports.
void AddVersionPage(rpc::HttpRouter& router, const apply::StateMachine& machine);

class HttpAdmin {
 public:
  HttpAdmin(const ServiceContext& context, Registry& registry);
  HttpAdmin(const HttpAdmin&) = delete;
  HttpAdmin& operator=(const HttpAdmin&) = delete;

  // /health, /livez, /readyz, /metrics.
  void RegisterPages(rpc::HttpRouter& router);
  // The same, /version, and the router's filter (CORS).
  void RegisterClientPages(rpc::HttpRouter& router);

 private:
  // What /livez and /readyz look at.
  enum class Check : uint8_t { kDataCorruption, kSerializableRead, kLinearizableRead, kNonLearner };
  using Checks = std::vector<Check>;
  // One request under way: its checks run one after another.
  struct Probe;

  void Health(const rpc::HttpExchangePtr& exchange);
  void AnswerHealth(rpc::HttpExchange& exchange, std::string_view reason);
  // `kind`: "livez" or "readyz", kept as a view.
  void RegisterProbe(rpc::HttpRouter& router, std::string_view kind, const Checks& checks);
  void StartProbe(const rpc::HttpExchangePtr& exchange, std::string_view kind, Checks checks);
  static Checks WithoutExcluded(const rpc::HttpRequest& request, Checks checks);
  void RunChecks(const std::shared_ptr<Probe>& probe);
  std::optional<std::string> RunLocal(Check check) const;

  static std::string_view NameOf(Check check);
  void FinishCheck(Probe& probe, Check check, const std::optional<std::string>& error);
  static void Answer(Probe& probe);

  const ServiceContext& context_;
  Registry& registry_;
  Counter& health_success_;
  Counter& health_failures_;
  MetricFamily<Gauge>& checks_;
  MetricFamily<Counter>& check_results_;
};

}  // namespace store::api
