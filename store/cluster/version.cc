// SPDX-License-Identifier: Apache-2.0
#include "store/cluster/version.h"

#include <fmt/format.h>

#include <algorithm>
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

// What may be assumed of anybody.
constexpr Version kFirstVersion{3, 0, 0};

Version WithoutPatch(const Version& version) { return {version.major, version.minor, 0}; }

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

std::string MajorMinor(std::string_view text) {
  auto version = ParseVersion(text);
  return version ? fmt::format("{}.{}", version->major, version->minor) : std::string(text);
}

std::optional<Version> DowngradeTarget(const Version& current) {
  if (current.minor == 0) return std::nullopt;
  return Version{current.major, current.minor - 1, 0};
}

std::optional<Version> DecideClusterVersion(const std::optional<Version>& current,
                                            const std::optional<Version>& lowest,
                                            const Downgrade& downgrade) {
  if (!current) return lowest ? WithoutPatch(*lowest) : kFirstVersion;
  if (downgrade.enabled) {
    auto target = ParseVersion(downgrade.target);
    bool wanted = target && DowngradeTarget(*current) == target;
    return wanted ? target : std::nullopt;
  }
  if (!lowest) return std::nullopt;
  Version next = WithoutPatch(*lowest);
  bool rises = next.major == current->major && *current < next;
  return rises ? std::optional(next) : std::nullopt;
}

bool IsDowngradeDone(std::span<const Version> members, const Downgrade& downgrade) {
  auto target = ParseVersion(downgrade.target);
  return downgrade.enabled && target &&
         std::all_of(members.begin(), members.end(), [&](const Version& version) {
           return WithoutPatch(version) == WithoutPatch(*target);
         });
}

}  // namespace store::cluster
