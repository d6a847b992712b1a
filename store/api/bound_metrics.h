// SPDX-License-Identifier: Apache-2.0
// BoundMetrics: every limit of the member and how much of it is used, as two metrics with one
// label, so that one alert rule (used / limit) covers them all; store/README.md has the table. The
// server adds the rows once, before the first scrape; it goes before the registry and what the rows
// read. Scrapes come from any thread.
#pragma once

#include "store/base/metrics.h"

#include <absl/functional/any_invocable.h>

#include <string_view>
#include <vector>

namespace store::api {

class BoundMetrics {
 public:
  using Read = absl::AnyInvocable<double() const>;

  explicit BoundMetrics(Registry& registry) : registry_(registry) {}
  BoundMetrics(const BoundMetrics&) = delete;
  BoundMetrics& operator=(const BoundMetrics&) = delete;

  // A bound of items of one kind, of which there is no sum that could be used up ("one request").
  void AddLimit(std::string_view bound, double limit);
  void Add(std::string_view bound, double limit, Read used);

 private:
  Registry& registry_;
  std::vector<Registry::CallbackHandle> handles_;
};

}  // namespace store::api
