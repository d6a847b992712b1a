// SPDX-License-Identifier: Apache-2.0
#include "store/api/bound_metrics.h"

#include <string>
#include <utility>

namespace store::api {

void BoundMetrics::AddLimit(std::string_view bound, double limit) {
  handles_.push_back(
      registry_.AddCallbackGauge("sluice_bound_limit", "Limits of the member, in items or bytes.",
                                 {{"bound", std::string(bound)}}, [limit] { return limit; }));
}

void BoundMetrics::Add(std::string_view bound, double limit, Read used) {
  AddLimit(bound, limit);
  handles_.push_back(registry_.AddCallbackGauge("sluice_bound_used",
                                                "How much of sluice_bound_limit is used.",
                                                {{"bound", std::string(bound)}}, std::move(used)));
}

}  // namespace store::api
