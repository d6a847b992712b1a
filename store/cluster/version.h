// SPDX-License-Identifier: Apache-2.0
// Version: major.minor.patch of a member or of the cluster. The cluster version is the lowest that
// all members run, with patch 0; it is replicated (one row of sys) and decides which commands may
// be proposed. This release speaks the API of etcd 3.7. Values, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
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

// A downgrade that operators have allowed; replicated, one row of sys.
struct Downgrade {
  bool enabled = false;
  std::string target;  // "3.6.0"
  friend bool operator==(const Downgrade&, const Downgrade&) = default;
};

// "3.7.0", "3.7"; a suffix ("-rc.1") is not part of a cluster version and is refused.
std::optional<Version> ParseVersion(std::string_view text);
std::string ToString(const Version& version);
// "3.7" of "3.7.0"; what is no version stays as it is.
std::string MajorMinor(std::string_view version);

// What the leader should propose next; nullopt: nothing. `lowest`: of all members, nullopt while
// one of them does not answer. The first decision is made with what there is, and 3.0.0 then
// promises nothing; later ones wait for everybody. It falls only to a downgrade's target.
std::optional<Version> DecideClusterVersion(const std::optional<Version>& current,
                                            const std::optional<Version>& lowest,
                                            const Downgrade& downgrade);
// The only one that a cluster of this version may go back to; nullopt: none.
std::optional<Version> DowngradeTarget(const Version& current);
// Every member runs the target of a downgrade that is under way.
bool IsDowngradeDone(std::span<const Version> members, const Downgrade& downgrade);

}  // namespace store::cluster
