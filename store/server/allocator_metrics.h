// SPDX-License-Identifier: Apache-2.0
// AllocatorMetrics: what jemalloc says of the process's memory at each scrape (its manual,
// "stats."), so that resident memory which grows can be told apart: held by the program
// (allocated), lost to fragmentation (active less allocated), or not yet given back (resident less
// active). No metric where the program runs without jemalloc. Made once by the server; goes before
// the registry. Scrapes come from any thread.
#pragma once

#include "store/base/metrics.h"

#include <vector>

namespace store::server {

class AllocatorMetrics {
 public:
  explicit AllocatorMetrics(Registry& registry);
  AllocatorMetrics(const AllocatorMetrics&) = delete;
  AllocatorMetrics& operator=(const AllocatorMetrics&) = delete;

 private:
  std::vector<Registry::CallbackHandle> handles_;
};

}  // namespace store::server
