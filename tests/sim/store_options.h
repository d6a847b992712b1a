// SPDX-License-Identifier: Apache-2.0
// What one run of the full-stack simulator is made of. As raft_options.h: everything is drawn from
// the seed, whole classes of faults and requests are on or off, limits are tiny, usual or huge.
// Values.
#pragma once

#include "store/api/service_context.h"
#include "store/apply/state_machine.h"
#include "store/replica/replica.h"
#include "store/watch/watch_hub.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"
#include "tests/sim/own_time.h"

#include <cstdint>
#include <string>

namespace store::sim {

struct SnapshotOptions {
  size_t part_bytes = 4096;
  size_t window_parts = 4;
  Time stall = 2 * kSecond;  // of silence, then the other side is given up
  double damage = 0;         // chance that a part arrives with a wrong byte
  double broken = 0;         // chance that a stream breaks, at each part
  double crash = 0;          // chance that the member crashes while it installs one
};

struct StoreOptions {
  uint64_t seed = 0;
  Time load_time = 20 * kSecond;  // the phase with faults
  int members = 3;
  int loops = 1;  // io loops of each member
  Time tick = 20 * kMillisecond;
  ClockOptions clocks;
  Time wall_jump_every = 0;  // of a member's wall clock
  NetworkOptions network;

  // A member's threads and disk.
  Time turn_mean = 50;  // until a thread that was woken runs
  Time sync_mean = 1 * kMillisecond;
  bool uneven = false;    // turns, disk and apply are each member's own
  double disk_stall = 0;  // chance that a sync takes a hundred times as long
  Time apply_mean = 300;  // of a slice
  uint64_t slice_entries_max = 20;
  Time flush_every = 500 * kMillisecond;  // the applied state becomes durable
  Time collect_every = 50 * kMillisecond;
  double refuse = 0;   // chance that the replica's mailbox is full
  double buggify = 0;  // chance of a rare branch at each point that has one

  // Limits of the member.
  replica::ReplicaConfig replica;  // without id and seed
  apply::ApplyLimits apply;
  watch::WatchLimits watch;
  size_t pending_calls_max = 20'000;
  SnapshotOptions snapshots;
  Duration request_timeout = std::chrono::seconds(3);

  // Mean time between two of a kind; 0 is never.
  Time put_every = 20 * kMillisecond;
  Time delete_every = 0;
  Time range_every = 20 * kMillisecond;
  Time txn_every = 0;
  uint64_t txn_ops_max = 3;  // in each branch
  int txn_depth_max = 0;     // of transactions in transactions
  Time stream_every = 0;
  Time lease_every = 0;  // grant; each lease is kept alive for a while
  Time keep_alive_every = 0;
  Time watch_every = 0;
  Time compact_every = 0;
  Time hash_every = 0;
  uint64_t keys = 10;
  uint64_t value_bytes_max = 40;
  size_t watches_max = 6;
  bool slow_readers = false;

  // Administrators.
  Time add_every = 0;
  Time remove_every = 0;
  Time promote_every = 0;
  Time update_every = 0;
  Time move_every = 0;
  Time wipe_every = 0;  // a disk is lost, and its member replaced
  bool changes_members() const {
    return add_every + remove_every + promote_every + update_every + wipe_every > 0;
  }

  // Faults.
  Time crash_every = 0;
  Time crash_all_every = 0;  // power cut
  Time pause_every = 0;
  Time cut_every = 0;
  Time clog_every = 0;
  Time full_every = 0;  // the disk of a state has no room for a while
  Time stop_every = 0;  // a member is told to stop, and comes back
};

StoreOptions DrawStoreOptions(uint64_t seed);
// As they are on that member.
StoreOptions OptionsAt(const StoreOptions& options, raft::NodeId node);
std::string ToString(const StoreOptions& options);

}  // namespace store::sim
