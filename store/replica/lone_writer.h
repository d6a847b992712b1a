// SPDX-License-Identifier: Apache-2.0
// LoneWriter: notices that one client writes and waits, and nobody else does anything. Then a put
// is nothing but hops between threads that would otherwise sleep, so ThreadEnv does the work of the
// log writer and of apply on the replica thread: two wake-ups instead of five. Nobody is held up by
// it: whoever comes while the fsync runs would have waited for the next fsync anyway, and the first
// read, second proposal or message of a peer in a turn ends it for the next kTurnsMin turns.
// Replica thread.
#pragma once

#include <algorithm>
#include <cstddef>

namespace store::replica {

class LoneWriter {
 public:
  static constexpr size_t kTurnsMin = 8;

  // One turn of the replica has brought so many proposals of clients.
  void OnProposals(size_t count) { turns_ = count == 1 ? std::min(turns_ + 1, kTurnsMin) : 0; }
  // Somebody else is there: a reader, a peer, a lease's holder.
  void OnOthers() { turns_ = 0; }
  bool there() const { return turns_ == kTurnsMin; }

 private:
  size_t turns_ = 0;
};

}  // namespace store::replica
