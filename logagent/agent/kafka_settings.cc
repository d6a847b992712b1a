// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/kafka_settings.h"

#include "store/base/file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;

constexpr size_t kSecretBytesMax = 64 << 10;
constexpr std::string_view kFile = "file:";
constexpr std::string_view kEnvironment = "env:";

Result<std::string> ReadSecret(std::string_view place) {
  if (place.starts_with(kFile)) {
    auto text = store::ReadFile(std::string(place.substr(kFile.size())), kSecretBytesMax);
    RETURN_IF_ERROR(text);
    while (text->ends_with('\n') || text->ends_with('\r')) {
      text->pop_back();
    }
    if (text->empty()) return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is empty", place));
    return text;
  }
  if (place.starts_with(kEnvironment)) {
    std::string name(place.substr(kEnvironment.size()));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is not in the environment", name));
    }
    if (*value == '\0') {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is empty", place));
    }
    return std::string(value);
  }
  return Fail(ErrorCode::kInvalidArgument, "this must be file:PATH or env:NAME");
}

}  // namespace

Result<KafkaConfig> KafkaConfigOf(const AgentSettings& settings) {
  KafkaConfig kafka;
  kafka.brokers = fmt::format("{}", fmt::join(settings.kafka.brokers, ","));
  kafka.max_line_bytes = settings.line_bytes_max;
  kafka.in_flight_bytes_max =
      std::max<uint64_t>(kafka.in_flight_bytes_max, uint64_t{4} * settings.memory_bytes_max);
  if (settings.kafka.low_latency) {
    kafka.linger_ms = 0;
  }
  kafka.compress_always = settings.kafka.compress_always;
  kafka.properties = settings.kafka.properties;
  for (const auto& [property, place] : settings.kafka.secrets) {
    auto secret = ReadSecret(place);
    if (!secret) {
      return Fail(secret.error().WithContext("kafka.secrets." + property));
    }
    kafka.properties[property] = std::move(*secret);
  }
  return kafka;
}

}  // namespace logagent
