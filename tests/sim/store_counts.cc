// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_counts.h"

#include <fmt/format.h>

namespace store::sim {
namespace {

struct Kind {
  uint64_t StoreCounts::* count;
  const char* name;
  bool expected;  // in a few hundred seeds
};

constexpr Kind kKinds[] = {
    {&StoreCounts::calls, "calls", true},
    {&StoreCounts::answered, "answered", true},
    {&StoreCounts::watches, "watches", true},
    {&StoreCounts::events_seen, "watch events", true},
    {&StoreCounts::leases_expired, "leases expired", true},
    {&StoreCounts::streams, "ranges streamed", true},
    {&StoreCounts::streams_in_pieces, "in several pieces", true},
    {&StoreCounts::txns_big, "big transactions", true},
    {&StoreCounts::txns_nested, "nested ones", true},
    {&StoreCounts::checkpoints, "lease checkpoints", true},
    {&StoreCounts::checkpoints_cleared, "cleared", true},
    {&StoreCounts::stops, "stops", true},
    {&StoreCounts::handed_over, "leaders that handed over", true},
    {&StoreCounts::two_leaders, "elections beside one who still believes to lead", true},
    {&StoreCounts::replaced_tails, "ends of logs replaced", true},
    {&StoreCounts::leases_unjudged, "runs without a leader that lasts", false},
    {&StoreCounts::elections, "elections", true},
    {&StoreCounts::fetches, "fetches", true},
    {&StoreCounts::hub_drops, "batches the hub had no room for", true},
    {&StoreCounts::states_compared, "states compared", true},
    {&StoreCounts::views_outlived, "views held beyond a compaction", true},
    {&StoreCounts::crashes, "crashes", true},
    {&StoreCounts::torn, "torn units", true},
    {&StoreCounts::power_cuts, "power cuts", true},
    {&StoreCounts::pauses, "pauses", true},
    {&StoreCounts::cuts, "cuts", true},
    {&StoreCounts::halves, "into halves", true},
    {&StoreCounts::bridges, "with a bridge", true},
    {&StoreCounts::clogs, "clogs", true},
    {&StoreCounts::full_disks, "full disks", true},
    {&StoreCounts::wall_jumps, "clock jumps", true},
    {&StoreCounts::clock_rates, "clock rates", true},
    {&StoreCounts::snapshots_sent, "snapshots sent", true},
    {&StoreCounts::snapshots_failed, "not sent", true},
    {&StoreCounts::snapshots_damaged, "found damaged", true},
    {&StoreCounts::snapshots_broken, "streams broken", true},
    {&StoreCounts::snapshots_unwanted, "received in vain", true},
    {&StoreCounts::snapshot_parts, "parts", true},
    {&StoreCounts::installs, "installs", true},
    {&StoreCounts::installs_watched, "with watchers", true},
    {&StoreCounts::installs_cut_short, "completed by a restart", true},
    {&StoreCounts::member_changes, "changes of members", true},
    {&StoreCounts::member_refusals, "refused", true},
    {&StoreCounts::voters_added, "voters added", true},
    {&StoreCounts::learners_added, "learners added", true},
    {&StoreCounts::promoted, "promoted", true},
    {&StoreCounts::joined, "members joined", true},
    {&StoreCounts::leader_moves, "leader moves", true},
    {&StoreCounts::removed_stopped, "removed members ended", true},
    {&StoreCounts::strangers, "senders known before the log told of them", true},
    {&StoreCounts::wiped, "disks lost", true},
    {&StoreCounts::wiped_refused, "refused under the old id", true},
    {&StoreCounts::wiped_unknown, "not known to have run", false},
    {&StoreCounts::replaced, "replaced", true},
    {&StoreCounts::lost, "groups lost", false},
};

}  // namespace

void StoreCounts::Add(const StoreCounts& other) {
  for (const Kind& kind : kKinds) this->*kind.count += other.*kind.count;
}

std::string StoreCounts::ToText() const {
  std::string text;
  for (const Kind& kind : kKinds) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", this->*kind.count, kind.name);
  }
  return text;
}

std::string StoreCounts::NeverSeen() const {
  for (const Kind& kind : kKinds) {
    if (kind.expected && this->*kind.count == 0) return kind.name;
  }
  return {};
}

}  // namespace store::sim
