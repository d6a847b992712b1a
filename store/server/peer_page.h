// SPDX-License-Identifier: Apache-2.0
// PeerPage: a page of another member's peer port by plain HTTP/1.1, for what is asked seldom and
// outside the streams: who belongs to the cluster, hashes. Blocks: at most two seconds for each
// step of the connection; only for threads that may. Bounds: the largest answer is the caller's.
// PeerPageRequest: the same as an object, so that another thread can end the waiting.
#pragma once

#include "store/base/thread.h"
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

class PeerPageRequest {
 public:
  // `own` goes along as X-Server-From. nullopt: nobody there, too slow, too large, no HTTP, or
  // cancelled. Once.
  std::optional<PeerPage> Get(const std::string& url, std::string_view path, raft::NodeId own,
                              size_t bytes_max);
  // Any thread: Get returns soon, whether it has begun or not; only looking a name up goes on.
  void Cancel();

 private:
  // False: cancelled. -1: it is about to be closed.
  bool Hold(int connection);

  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  int connection_ ABSL_GUARDED_BY(mutex_) = -1;
};

std::optional<PeerPage> GetPeerPage(const std::string& url, std::string_view path, raft::NodeId own,
                                    size_t bytes_max);

}  // namespace store::server
