// SPDX-License-Identifier: Apache-2.0
#include "store/cluster/version.h"

#include <fmt/format.h>

#include <charconv>

namespace store::cluster {
namespace {

// Takes a number off the front of `text`.
std::optional<uint32_t> TakeNumber(std::string_view* text) {
  uint32_t number = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return number;
}

bool TakeDot(std::string_view* text) {
  if (!text->starts_with('.')) return false;
  text->remove_prefix(1);
  return true;
}

}  // namespace

std::optional<Version> ParseVersion(std::string_view text) {
  auto major = TakeNumber(&text);
  if (!major || !TakeDot(&text)) return std::nullopt;
  auto minor = TakeNumber(&text);
  if (!minor) return std::nullopt;
  Version version{*major, *minor, 0};
  if (text.empty()) return version;
  if (!TakeDot(&text)) return std::nullopt;
  auto patch = TakeNumber(&text);
  if (!patch || !text.empty()) return std::nullopt;
  version.patch = *patch;
  return version;
}

std::string ToString(const Version& version) {
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

}  // namespace store::cluster
