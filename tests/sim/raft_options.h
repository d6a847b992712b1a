// SPDX-License-Identifier: Apache-2.0
// What one run of the raft simulator is made of. Everything is drawn from the seed: whole classes
// of faults are on or off, and limits are tiny, usual or huge (swarm testing), so that a thousand
// seeds are a thousand different worlds. Values.
#pragma once

#include "store/raft/config.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/own_time.h"

#include <cstdint>
#include <string>

namespace store::sim {

struct RaftOptions {
  uint64_t seed = 0;
  Time load_time = 60 * kSecond;  // the phase with faults
  int members = 3;
  raft::Config raft;  // without id and seed
  Time tick = 10 * kMillisecond;
  ClockOptions clocks;

  Time latency_min = 200;  // of a message
  Time latency_mean = 2 * kMillisecond;
  double loss = 0;
  double duplicate = 0;

  Time sync_mean = 1 * kMillisecond;
  double disk_stall = 0;  // chance that a sync takes a hundred times as long
  Time apply_mean = 300;
  Time flush_every = 500 * kMillisecond;  // the applied state becomes durable
  uint64_t keep_entries = 100;            // behind the flushed state when the log is cut

  // Mean time between two of a kind; 0 is never.
  Time propose_every = 20 * kMillisecond;
  uint64_t command_bytes_max = 200;
  Time read_every = 30 * kMillisecond;
  Time conf_change_every = 0;
  Time transfer_every = 0;
  Time crash_every = 0;
  Time pause_every = 0;
  Time cut_every = 0;   // links, in the shapes of partition.h
  Time clog_every = 0;  // a link holds everything back for a while
};

RaftOptions DrawRaftOptions(uint64_t seed);
std::string ToString(const RaftOptions& options);

}  // namespace store::sim
