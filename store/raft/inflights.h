// SPDX-License-Identifier: Apache-2.0
// Inflights: the append messages one peer has been sent and not acknowledged, oldest first, each by
// its last index and its bytes. Bounded in messages and in bytes (thesis 10.2.1, pipelining); an
// empty window always admits one message, however large. Value type, owned by a Progress.
#pragma once

#include "store/base/check.h"
#include "store/raft/types.h"

#include <cstddef>
#include <deque>

namespace store::raft {

class Inflights {
 public:
  Inflights(size_t messages_max, size_t bytes_max)
      : messages_max_(messages_max), bytes_max_(bytes_max) {}

  bool Full() const {
    return !sent_.empty() && (sent_.size() >= messages_max_ || bytes_ >= bytes_max_);
  }
  void Add(Index last, size_t bytes) {
    CHECK(!Full());
    CHECK(sent_.empty() || sent_.back().last <= last, "{} after {}", last, sent_.back().last);
    sent_.push_back({last, bytes});
    bytes_ += bytes;
  }
  // Everything up to `index` has been acknowledged.
  void FreeThrough(Index index) {
    while (!sent_.empty() && sent_.front().last <= index) {
      bytes_ -= sent_.front().bytes;
      sent_.pop_front();
    }
  }
  void Clear() {
    sent_.clear();
    bytes_ = 0;
  }
  size_t messages() const { return sent_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Sent {
    Index last;
    size_t bytes = 0;
  };
  size_t messages_max_;
  size_t bytes_max_;
  size_t bytes_ = 0;  // sum over sent_
  std::deque<Sent> sent_;
};

}  // namespace store::raft
