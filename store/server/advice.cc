// SPDX-License-Identifier: Apache-2.0
#include "store/server/advice.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace store::server {
namespace {

constexpr uint64_t kRequestBytesRecommended = 10 << 20;
constexpr int64_t kQuotaBytesRecommended = 8LL << 30;

// In steps of a thousand with one decimal below ten, as the library that etcd uses.
std::string Humanize(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1000;
  bytes = std::floor(bytes * 10 + 0.5) / 10;
  return bytes < 10 ? fmt::format("{:.1f} {}", bytes, kUnits[unit])
                    : fmt::format("{:.0f} {}", bytes, kUnits[unit]);
}

}  // namespace

void WarnOfSizes(const ServerConfig& config, const Logger& log) {
  if (config.max_request_bytes > kRequestBytesRecommended) {
    log.Warn("exceeded recommended request limit",
             {{"max-request-bytes", config.max_request_bytes},
              {"max-request-size", Humanize(static_cast<double>(config.max_request_bytes))},
              {"recommended-request-bytes", kRequestBytesRecommended},
              {"recommended-request-size", Humanize(kRequestBytesRecommended)}});
  }
  if (config.quota_backend_bytes > kQuotaBytesRecommended) {
    log.Warn("quota exceeds the maximum value",
             {{"quota-name", "v3-applier"},
              {"quota-size-bytes", config.quota_backend_bytes},
              {"quota-size", Humanize(static_cast<double>(config.quota_backend_bytes))},
              {"quota-maximum-size-bytes", kQuotaBytesRecommended},
              {"quota-maximum-size", Humanize(kQuotaBytesRecommended)}});
  }
}

}  // namespace store::server
