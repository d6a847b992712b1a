// SPDX-License-Identifier: Apache-2.0
#include "store/server/allocator_metrics.h"

#include <cstddef>
#include <cstdint>
#include <string>

// jemalloc's door to its figures; null in a program that is linked without it.
extern "C" [[gnu::weak]] int mallctl(const char* name, void* old, size_t* old_bytes, void* fresh,
                                     size_t fresh_bytes);

namespace store::server {
namespace {

// The figures are a copy that is taken when the epoch moves.
void TakeFigures() {
  uint64_t epoch = 1;
  mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch));
}

double Figure(const std::string& name) {
  size_t value = 0;
  size_t bytes = sizeof(value);
  if (mallctl(name.c_str(), &value, &bytes, nullptr, 0) != 0) return 0;
  return static_cast<double>(value);
}

}  // namespace

AllocatorMetrics::AllocatorMetrics(Registry& registry) {
  if (mallctl == nullptr) return;
  for (const char* state : {"active", "allocated", "metadata", "resident", "retained"}) {
    handles_.push_back(registry.AddCallbackGauge(
        "sluice_allocator_bytes", "Memory of the process as jemalloc counts it.",
        {{"state", state}}, [name = std::string("stats.") + state] {
          TakeFigures();
          return Figure(name);
        }));
  }
}

}  // namespace store::server
