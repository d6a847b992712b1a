// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_run.h"

#include "tests/sim/nemesis.h"
#include "tests/sim/store_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace store::sim {
namespace {

// So many times the patience for a lease with one leader.
constexpr int kLeaseRounds = 10;

Time ElectionTimeout(const StoreOptions& options) {
  return static_cast<Time>(2) * options.replica.raft.election_ticks * options.tick;
}

// How far everybody is; only moving on counts as life, for a slow network may need long.
uint64_t Progress(StoreGroup& group, const StoreLoad& load) {
  uint64_t sum = group.counts().answered + group.counts().events_seen;
  for (auto& [node, member] : group.members()) {
    if (member.process == nullptr) continue;
    sum += member.process->applied().value();
    sum += member.disk.log.truncated.value() + member.disk.log.entries.size();
  }
  return sum - load.open();
}

// What is still missing for the end, empty if nothing.
std::string Missing(StoreGroup& group, const StoreLoad& load) {
  if (group.Leader() == nullptr) return "there is no leader";
  if (!load.last_done()) return "nothing new is acknowledged";
  if (load.open() > 0) return fmt::format("{} calls are not answered", load.open());
  raft::Index committed = group.raft_checker().committed();
  for (auto& [node, member] : group.members()) {
    if (member.process == nullptr) return fmt::format("member {} is down", node);
    if (member.process->applied() < committed) {
      return fmt::format("member {} is at {} of {}", node, member.process->applied(), committed);
    }
    std::string waiting = member.process->Waiting();
    if (!waiting.empty()) return fmt::format("member {}: {}", node, waiting);
  }
  for (const auto& watch : load.watches()) {
    if (std::string behind = watch->Behind(); !behind.empty()) return behind;
  }
  return {};
}

std::string AwaitLeader(const StoreOptions& options, StoreGroup& group, const StoreLoad& load) {
  Time moved = group.events().now();
  uint64_t progress = Progress(group, load);
  while (group.problem().empty() && group.Leader() == nullptr) {
    Time now = group.events().now();
    if (Progress(group, load) != progress) {
      progress = Progress(group, load);
      moved = now;
    }
    if (now - moved > 20 * ElectionTimeout(options)) {
      return "no leader 20 election timeouts after everything healed and was applied";
    }
    group.RunUntil(now + options.tick);
  }
  return group.problem();
}

// The slowest of what may have to pass: elections, a call's time-out, a slow reader, a retry.
Time PatienceOf(const StoreOptions& options) {
  Time timeout = options.request_timeout / std::chrono::microseconds(1);
  return std::max({60 * ElectionTimeout(options), 2 * timeout, 2 * options.flush_every}) +
         5 * kSecond;
}

std::string AwaitCalm(const StoreOptions& options, StoreGroup& group, StoreLoad& load) {
  Time moved = group.events().now();
  uint64_t progress = Progress(group, load);
  while (group.problem().empty()) {
    std::string missing = Missing(group, load);
    if (missing.empty()) return {};
    Time now = group.events().now();
    if (Progress(group, load) != progress) {
      progress = Progress(group, load);
      moved = now;
    }
    if (now - moved > PatienceOf(options)) {
      return "nothing moves any more after everything healed: " + missing;
    }
    StoreProcess* leader = group.Leader();
    if (leader != nullptr && !load.last_done() && load.open() == 0) {
      load.PutLast(leader->self().node);
    }
    group.RunUntil(now + ElectionTimeout(options) / 4);
  }
  return group.problem();
}

// The longest TTL among leases that live; negative if none does.
int64_t LongestLease(const KvModel& model) {
  int64_t longest = -1;
  for (const auto& [id, lease] : model.leases()) {
    if (lease.ended < 0) longest = std::max(longest, lease.ttl_seconds);
  }
  return longest;
}

raft::Term LeadersTerm(StoreGroup& group) {
  const StoreProcess* leader = group.Leader();
  return leader == nullptr ? raft::Term(0) : leader->raft().position().term;
}

// Nobody keeps a lease alive any more: each must end within its TTL, an election timeout and a
// little of one leader's time. Another leader begins anew, and slow links or disks may elect one
// every other second for ever: then the leases are left alone, and counted.
std::string AwaitLeases(const StoreOptions& options, StoreGroup& group) {
  const int64_t longest = LongestLease(group.model());
  if (longest < 0) return {};
  auto slow = static_cast<Time>(static_cast<double>(longest * kSecond) * (1 + options.drift_max));
  const Time patience = slow + ElectionTimeout(options) + 3 * kSecond;
  const Time give_up = group.events().now() + kLeaseRounds * patience;
  Time since = group.events().now();
  raft::Term term = LeadersTerm(group);
  while (group.problem().empty() && LongestLease(group.model()) >= 0) {
    const Time now = group.events().now();
    if (raft::Term leads = LeadersTerm(group); leads != term || leads == raft::Term(0)) {
      term = leads;
      since = now;
    }
    if (now - since > patience) {
      return fmt::format("a lease of at most {} s never expires: one leader for {} us", longest,
                         now - since);
    }
    if (now > give_up) {
      ++group.counts().leases_unjudged;
      return {};
    }
    group.RunUntil(now + options.tick);
  }
  return group.problem();
}

// All states are one state.
std::string CheckEnd(StoreGroup& group) {
  for (auto& [node, member] : group.members()) group.CompareState(*member.process);
  if (!group.problem().empty()) return group.problem();
  return group.checks().Refused();
}

// Every member as it stood when a rule was broken.
std::string Picture(StoreGroup& group) {
  std::string text;
  for (auto& [node, member] : group.members()) {
    const StoreDisk& disk = member.disk;
    text += fmt::format("\nmember {}: life {}, durable {}, disk ({}, {}] + {} units", node,
                        member.lives, disk.durable, disk.log.truncated,
                        disk.log.truncated + disk.log.entries.size(), disk.log.unsynced());
    StoreProcess* process = member.process.get();
    if (process == nullptr) {
      text += ", down";
      continue;
    }
    text += fmt::format("{}, applied {}\n{}", process->host().paused() ? ", paused" : "",
                        process->applied(), raft::ToString(process->raft().status()));
  }
  return text;
}

}  // namespace

StoreResult RunStore(const StoreOptions& options, const StoreRunLimits& limits) {
  StoreGroup group(options);
  group.Limit(limits.until, limits.trace);
  Pacer pacer(&group.events(), options.seed, limits.only);
  StoreLoad load(options, &group, &pacer);
  StoreNemesis nemesis(options, &group, &pacer);
  group.RunUntil(options.load_time);
  pacer.Stop();
  std::string problem = group.problem();
  if (problem.empty()) {
    group.Heal();
    problem = AwaitLeader(options, group, load);
    if (problem.empty()) problem = AwaitCalm(options, group, load);
    if (problem.empty()) problem = AwaitLeases(options, group);
    if (problem.empty()) problem = AwaitCalm(options, group, load);
    if (problem.empty()) problem = CheckEnd(group);
  }
  if (!problem.empty()) problem += Picture(group);
  for (auto& [node, member] : group.members()) {
    if (member.process == nullptr) continue;
    group.counts().fetches += member.process->fetches();
    group.counts().hub_drops += member.process->drops();
  }
  return {.problem = problem,
          .at = group.events().now(),
          .events = group.events().ran(),
          .committed = group.raft_checker().committed().value(),
          .revision = group.model().revision(),
          .trace_hash = group.trace_hash(),
          .counts = group.counts(),
          .acts = pacer.done()};
}

}  // namespace store::sim
