// SPDX-License-Identifier: Apache-2.0
// MemberMetrics: the member's numbers under etcd's metric names, read at each scrape from gauges
// and the published state. Dashboards and alert rules of etcd name them. Made once by the server;
// goes before the registry and the context. Scrapes come from any thread.
#pragma once

#include "store/api/call_budget.h"
#include "store/api/service_context.h"
#include "store/base/metrics.h"
#include "store/watch/watch_hub.h"

#include <absl/functional/any_invocable.h>

#include <string_view>
#include <vector>

namespace store::api {

class MemberMetrics {
 public:
  MemberMetrics(Registry& registry, const ServiceContext& context, const watch::WatchHub& hub,
                const CallBudget& budget);
  MemberMetrics(const MemberMetrics&) = delete;
  MemberMetrics& operator=(const MemberMetrics&) = delete;

 private:
  using Read = absl::AnyInvocable<double() const>;

  void Gauge(std::string_view name, std::string_view help, Read read);
  void Counter(std::string_view name, std::string_view help, Read read);
  void AddServer();
  void AddProgress();
  void AddStorage();
  void AddWatch(const watch::WatchHub& hub);

  Registry& registry_;
  const ServiceContext& context_;
  std::vector<Registry::CallbackHandle> handles_;
};

}  // namespace store::api
