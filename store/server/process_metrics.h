// SPDX-License-Identifier: Apache-2.0
// ProcessMetrics: process_* as Prometheus' client libraries name them, read from /proc at each
// scrape. Made once by the server; goes before the registry. Scrapes come from any thread and cost
// a few small reads.
#pragma once

#include "store/base/metrics.h"

#include <vector>

namespace store::server {

class ProcessMetrics {
 public:
  explicit ProcessMetrics(Registry& registry);
  ProcessMetrics(const ProcessMetrics&) = delete;
  ProcessMetrics& operator=(const ProcessMetrics&) = delete;

 private:
  std::vector<Registry::CallbackHandle> handles_;
};

}  // namespace store::server
