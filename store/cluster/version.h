// SPDX-License-Identifier: Apache-2.0
// Version: major.minor.patch of a member or of the cluster. The cluster version is the lowest that
// all members run, with patch 0; it is replicated (one row of sys) and decides which commands may
// be proposed. This release speaks the API of etcd 3.7. Values, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace store::cluster {

struct Version {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  friend constexpr auto operator<=>(const Version&, const Version&) = default;
};

// What clients and tools are told: the etcd release whose API this one follows.
inline constexpr std::string_view kServerVersion = "3.7.0";
// The cluster version the leader proposes when every member runs this release.
inline constexpr std::string_view kClusterVersion = "3.7.0";

// "3.7.0", "3.7"; a suffix ("-rc.1") is not part of a cluster version and is refused.
std::optional<Version> ParseVersion(std::string_view text);
std::string ToString(const Version& version);

}  // namespace store::cluster
