// SPDX-License-Identifier: Apache-2.0
// PeerPage: a page of another member's peer port by plain HTTP/1.1, for what is asked seldom and
// outside the streams: who belongs to the cluster, hashes. Blocks: at most two seconds for each
// step of the connection; only for threads that may. Bounds: the largest answer is the caller's.
#pragma once

#include "store/raft/types.h"

#include <optional>
#include <string>
#include <string_view>

namespace store::server {

struct PeerPage {
  int status = 0;
  std::string head;  // in lower case
  std::string body;
};

// `own` goes along as X-Server-From. nullopt: nobody there, too slow, too large, or no HTTP.
std::optional<PeerPage> GetPeerPage(const std::string& url, std::string_view path, raft::NodeId own,
                                    size_t bytes_max);

}  // namespace store::server
