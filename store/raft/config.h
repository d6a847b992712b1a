// SPDX-License-Identifier: Apache-2.0
// Parameters of the core and the state it restarts from. Times are ticks; the host decides how long
// one is. Validate() names the first parameter that cannot work. Values, any thread.
#pragma once

#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace store::raft {

struct Config {
  NodeId id;
  uint64_t seed = 0;  // the only entropy: election jitter
  // Ids of reads begin behind it: other ones than in any former life of this node, of which answers
  // may still be on their way (a stale index must not grant a read of this life).
  uint64_t reads_after = 0;
  int heartbeat_ticks = 1;
  int election_ticks = 10;  // timeouts are drawn from [election_ticks, 2 * election_ticks)
  bool pre_vote = true;
  bool check_quorum = true;
  bool lease_reads = false;
  size_t message_bytes_max = 1 << 20;  // one AppendRequest; a single larger entry passes alone
  size_t inflight_messages_max = 256;  // per peer in replicate
  size_t inflight_bytes_max = 8 << 20;
  size_t uncommitted_bytes_max = 64 << 20;  // proposed here, and not committed or not durable here
  size_t window_bytes_max = 64 << 20;       // entries kept in memory for lagging peers
  size_t apply_bytes_max =
      4 << 20;  // handed out by Output::apply and not yet reported by OnApplied

  // Empty when usable, else one sentence that names the parameter.
  std::string Validate() const;
};

// What bootstrap read from disk (LogStore::Load and the engine's applied row).
struct Restart {
  HardState hard_state;
  ConfState conf;   // as of `applied`; later conf changes replay from the log
  Index applied;    // durable applied index; commit is at least this
  Index truncated;  // the log starts behind it
  Term truncated_term;
  std::vector<TermRun> runs;   // of (truncated, last]
  std::vector<EntryPtr> tail;  // contiguous to the last entry; at least everything > applied
};

}  // namespace store::raft
