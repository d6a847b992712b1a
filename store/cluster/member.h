// SPDX-License-Identifier: Apache-2.0
// Member: one row of the replicated membership, and how its id and the cluster's are derived. The
// derivation is etcd's, because tools print and compare ids: first 8 bytes (big endian) of a SHA-1.
// Values and free functions, any thread.
#pragma once

#include "store/base/ids.h"
#include "store/raft/types.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::cluster {

struct Member {
  raft::NodeId id;
  std::string name;                    // empty until the member has started and published itself
  std::vector<std::string> peer_urls;  // sorted, unless MemberUpdate gave another order
  std::vector<std::string> client_urls;
  bool learner = false;
  friend bool operator==(const Member&, const Member&) = default;
};

// SHA-1 over the sorted peer URLs and then the cluster token (members of the bootstrap
// configuration).
raft::NodeId BootstrapMemberId(std::span<const std::string> peer_urls, std::string_view token);
// SHA-1 over the sorted peer URLs and then decimal unix seconds (members added later).
raft::NodeId AddedMemberId(std::span<const std::string> peer_urls, int64_t unix_seconds);
// SHA-1 over the member ids, ascending, 8 bytes big endian each.
ClusterId DeriveClusterId(std::span<const raft::NodeId> members);

}  // namespace store::cluster
