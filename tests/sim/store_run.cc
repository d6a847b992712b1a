// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_run.h"

#include "tests/sim/nemesis.h"
#include "tests/sim/store_load.h"
#include "tests/sim/store_operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace store::sim {
namespace {

// So many times the patience for a lease with one leader.
constexpr int kLeaseRounds = 10;
// What moves for ever is not calm either; slow readers need long.
constexpr Time kCalmMax = 3600 * kSecond;

Time ElectionTimeout(const StoreOptions& options) {
  return static_cast<Time>(2) * options.replica.raft.election_ticks * options.tick;
}

// How far everybody is; only moving on counts as life, for a slow network may need long.
uint64_t Progress(StoreGroup& group, const ClientCalls& calls) {
  uint64_t sum =
      group.counts().answered + group.counts().events_seen + group.counts().snapshot_parts;
  for (auto& [node, member] : group.members()) {
    if (member.process == nullptr) continue;
    sum += member.process->applied().value();
    sum += member.disk.log.truncated.value() + member.disk.log.entries.size();
  }
  return sum - calls.open();
}

// What a member that belongs to the group still has to do; empty if nothing.
std::string MissingAt(raft::NodeId node, const StoreMember& member, raft::Index committed) {
  if (member.process == nullptr) return fmt::format("member {:x} is down", node);
  if (member.process->applied() < committed) {
    return fmt::format("member {:x} is at {} of {}", node, member.process->applied(), committed);
  }
  std::string waiting = member.process->Waiting();
  return waiting.empty() ? waiting : fmt::format("member {:x}: {}", node, waiting);
}

// What is still missing for the end, empty if nothing.
std::string Missing(StoreGroup& group, const StoreLoad& load, const ClientCalls& calls) {
  if (group.Leader() == nullptr) return "there is no leader";
  if (!load.last_done()) return "nothing new is acknowledged";
  if (calls.open() > 0) return fmt::format("{} calls are not answered", calls.open());
  if (group.wiped() != raft::NodeId()) return "who lost its disk is not removed";
  const auto& belong = group.model().members().members();
  for (const auto& [node, proto] : belong) {
    if (!group.members().contains(node)) return fmt::format("member {:x} never started", node);
    std::string missing =
        MissingAt(node, group.members().at(node), group.raft_checker().committed());
    if (!missing.empty()) return missing;
  }
  for (auto& [node, member] : group.members()) {
    if (belong.contains(node) || member.process == nullptr) continue;
    return fmt::format("member {:x} was removed and goes on", node);
  }
  for (const auto& watch : load.watches()) {
    if (std::string behind = watch->Behind(); !behind.empty()) return behind;
  }
  return {};
}

std::string AwaitLeader(const StoreOptions& options, StoreGroup& group, StoreOperators& operators,
                        const ClientCalls& calls) {
  Time moved = group.events().now();
  uint64_t progress = Progress(group, calls);
  while (group.problem().empty() && group.Leader() == nullptr) {
    // Who was added and never started may be a voter that the others need.
    operators.Reconcile(nullptr);
    Time now = group.events().now();
    if (Progress(group, calls) != progress) {
      progress = Progress(group, calls);
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

std::string AwaitCalm(const StoreOptions& options, StoreGroup& group, StoreLoad& load,
                      StoreOperators& operators, const ClientCalls& calls) {
  const Time began = group.events().now();
  Time moved = began;
  uint64_t progress = Progress(group, calls);
  while (group.problem().empty()) {
    std::string missing = Missing(group, load, calls);
    if (missing.empty()) return {};
    Time now = group.events().now();
    if (Progress(group, calls) != progress) {
      progress = Progress(group, calls);
      moved = now;
    }
    if (now - moved > PatienceOf(options)) {
      return "nothing moves any more after everything healed: " + missing;
    }
    if (now - began > kCalmMax) return "no end after everything healed: " + missing;
    StoreProcess* leader = group.Leader();
    if (options.changes_members() && calls.open() == 0) operators.Reconcile(leader);
    if (leader != nullptr && !load.last_done() && calls.open() == 0) {
      load.PutLast(leader->self().node);
    }
    group.RunUntil(now + ElectionTimeout(options) / 4);
  }
  return group.problem();
}

struct LivingLeases {
  size_t count = 0;
  int64_t longest_ttl = 0;  // seconds
};

LivingLeases LivingIn(const KvModel& model) {
  LivingLeases living;
  for (const auto& [id, lease] : model.leases()) {
    if (lease.ended >= 0) continue;
    ++living.count;
    living.longest_ttl = std::max(living.longest_ttl, lease.ttl_seconds);
  }
  return living;
}

raft::Term LeadersTerm(StoreGroup& group) {
  const StoreProcess* leader = group.Leader();
  return leader == nullptr ? raft::Term(0) : leader->raft().position().term;
}

// Nobody keeps a lease alive any more: the next one must end within the longest TTL, an election
// timeout and a little of one leader's time. With an append of one entry in flight and a disk that
// stalls for seconds their revokes follow one another slowly (seed 2002885), so each end begins the
// time anew. So does another leader, and slow links or disks may elect one every other second for
// ever: then the leases are left alone, and counted.
std::string AwaitLeases(const StoreOptions& options, StoreGroup& group) {
  LivingLeases before = LivingIn(group.model());
  const int64_t longest = before.longest_ttl;
  auto slow =
      static_cast<Time>(static_cast<double>(longest * kSecond) / (1 - options.clocks.drift_max));
  const Time patience = slow + ElectionTimeout(options) + 3 * kSecond;
  const Time give_up = group.events().now() + kLeaseRounds * patience;
  Time since = group.events().now();
  raft::Term term = LeadersTerm(group);
  while (group.problem().empty() && before.count > 0) {
    const Time now = group.events().now();
    const raft::Term leads = LeadersTerm(group);
    const LivingLeases living = LivingIn(group.model());
    if (leads != term || leads == raft::Term(0) || living.count < before.count) since = now;
    term = leads;
    before = living;
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
  for (auto& [node, member] : group.members()) {
    if (member.process != nullptr) group.CompareState(*member.process);
  }
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
  ClientCalls calls(group);
  StoreLoad load(options, &group, &calls, &pacer);
  StoreOperators operators(options, &group, &calls, &pacer);
  StoreNemesis nemesis(options, &group, &pacer);
  group.RunUntil(options.load_time);
  pacer.Stop();
  std::string problem = group.problem();
  if (problem.empty()) {
    group.Heal();
    problem = AwaitLeader(options, group, operators, calls);
    auto calm = [&] { return AwaitCalm(options, group, load, operators, calls); };
    if (problem.empty()) problem = calm();
    if (problem.empty()) problem = AwaitLeases(options, group);
    if (problem.empty()) problem = calm();
    // Only what needs a leader failed, and there can be none any more.
    if (group.problem().empty() && !problem.empty() && group.Lost()) {
      ++group.counts().lost;
      problem.clear();
    }
    if (problem.empty()) problem = CheckEnd(group);
  }
  if (!problem.empty()) problem += Picture(group);
  for (auto& [node, member] : group.members()) {
    if (member.process == nullptr) continue;
    group.counts().fetches += member.process->fetches();
    group.counts().hub_drops += member.process->watch_stats().batches_dropped;
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
