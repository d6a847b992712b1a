// SPDX-License-Identifier: Apache-2.0
#include "logagent/config/last_good.h"

#include <fmt/format.h>

#include <charconv>

namespace logagent {
namespace {

constexpr std::string_view kMagic = "sluice-config 1\n";

}  // namespace

std::string EncodeLastGood(const LastGood& config) {
  return fmt::format("{}{}\n{}\n{}", kMagic, config.revision, config.key, config.text);
}

store::Result<LastGood> DecodeLastGood(std::string_view bytes) {
  auto bad = store::Fail(store::ErrorCode::kCorruption, "the saved configuration is damaged");
  if (!bytes.starts_with(kMagic)) return bad;
  bytes.remove_prefix(kMagic.size());
  size_t revision_end = bytes.find('\n');
  if (revision_end == std::string_view::npos) return bad;
  size_t key_end = bytes.find('\n', revision_end + 1);
  if (key_end == std::string_view::npos) return bad;
  LastGood config;
  const char* end = bytes.data() + revision_end;
  auto [stop, error] = std::from_chars(bytes.data(), end, config.revision);
  if (error != std::errc() || stop != end) return bad;
  config.key = bytes.substr(revision_end + 1, key_end - revision_end - 1);
  config.text = bytes.substr(key_end + 1);
  return config;
}

}  // namespace logagent
