// SPDX-License-Identifier: Apache-2.0
// StoreCounts: what happened in runs of the full-stack simulator, faults and work, each with the
// name it is printed under. A kind that must happen in many seeds and did not makes the run fail:
// what was never injected proves nothing. Values.
#pragma once

#include <cstdint>
#include <string>

namespace store::sim {

struct StoreCounts {
  // Faults.
  uint64_t crashes = 0, torn = 0, power_cuts = 0, pauses = 0, cuts = 0, halves = 0, bridges = 0,
           clogs = 0, wall_jumps = 0, clock_rates = 0, full_disks = 0;
  // Work.
  uint64_t elections = 0, fetches = 0, hub_drops = 0, states_compared = 0, views_outlived = 0;
  uint64_t calls = 0, answered = 0, watches = 0, events_seen = 0, leases_expired = 0;
  uint64_t streams = 0, streams_in_pieces = 0, txns_big = 0, txns_nested = 0, checkpoints = 0,
           checkpoints_cleared = 0;
  uint64_t stops = 0, handed_over = 0, two_leaders = 0, replaced_tails = 0;
  // Runs in which leases were not judged because leaders changed too often.
  uint64_t leases_unjudged = 0;
  // Snapshots.
  uint64_t snapshots_sent = 0, snapshots_failed = 0, snapshots_damaged = 0, snapshots_broken = 0,
           snapshots_unwanted = 0, snapshot_parts = 0;
  uint64_t installs = 0, installs_watched = 0, installs_cut_short = 0;
  // Members.
  uint64_t member_changes = 0, member_refusals = 0, voters_added = 0, learners_added = 0,
           joined = 0, promoted = 0, leader_moves = 0, removed_stopped = 0, strangers = 0;
  uint64_t wiped = 0, wiped_refused = 0, wiped_unknown = 0, replaced = 0;
  // Runs whose members that are left are no quorum of what any of them knows.
  uint64_t lost = 0;

  void Add(const StoreCounts& other);
  // "12 crashes, 3 torn units, ..."
  std::string ToText() const;
  // A kind that must happen and did not; empty: all did.
  std::string NeverSeen() const;
};

}  // namespace store::sim
