// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/raft_run.h"

#include "store/raft/quorum.h"
#include "tests/sim/raft_load.h"

#include <fmt/format.h>

#include <string>

namespace store::sim {
namespace {

using raft::Index;

bool InConf(const raft::ConfState& conf, raft::NodeId node) {
  return raft::IsVoter(conf, node) || raft::IsLearner(conf, node);
}

// How far everybody is; only moving on counts as life, for a slow network may need long.
uint64_t Progress(RaftGroup& group) {
  uint64_t sum = 0;
  for (auto& [node, member] : group.members()) {
    sum += member.applied.index.value() - member.reads.size();
    // A new leader commits nothing before an old log is copied whole.
    sum += member.disk.truncated.value() + member.disk.entries.size();
  }
  return sum;
}

// What is still missing for the end, empty if nothing.
std::string Missing(RaftGroup& group, Index target) {
  RaftMember* leader = group.Leader();
  if (leader == nullptr) return "there is no leader";
  for (auto& [node, member] : group.members()) {
    if (!InConf(leader->applied.state.conf, node)) continue;
    if (member.raft == nullptr) return fmt::format("member {} is down", node);
    if (member.applied.index < target) {
      return fmt::format("member {} is at {} of {}", node, member.applied.index, target);
    }
    if (!member.reads.empty()) return fmt::format("member {} waits for a read", node);
  }
  return {};
}

Time ElectionTimeout(const RaftOptions& options) {
  return static_cast<Time>(2) * options.raft.election_ticks * options.tick;
}

// A member with a committed change of members still to apply does not campaign, so time counts only
// once nothing is applied any more.
std::string AwaitLeader(const RaftOptions& options, RaftGroup& group) {
  Time moved = group.events().now();
  uint64_t progress = Progress(group);
  while (group.problem().empty() && group.Leader() == nullptr) {
    Time now = group.events().now();
    if (Progress(group) != progress) {
      progress = Progress(group);
      moved = now;
    }
    if (now - moved > 20 * ElectionTimeout(options)) {
      return "no leader 20 election timeouts after everything healed and was applied";
    }
    group.RunUntil(now + options.tick);
  }
  return group.problem();
}

std::string AwaitCalm(const RaftOptions& options, RaftGroup& group) {
  Time moved = group.events().now();
  uint64_t progress = Progress(group);
  Index target = group.checker().committed() + 1;
  while (group.problem().empty()) {
    std::string missing = Missing(group, target);
    if (missing.empty()) return {};
    Time now = group.events().now();
    if (Progress(group) != progress) {
      progress = Progress(group);
      moved = now;
    }
    if (now - moved > 60 * ElectionTimeout(options)) {
      return "nothing moves any more 60 election timeouts after everything healed: " + missing;
    }
    RaftMember* leader = group.Leader();
    // One command of the new era, offered until somebody takes it.
    if (leader != nullptr && group.checker().committed() < target) {
      group.Propose(leader->config.id, {"last"});
    }
    group.RunUntil(now + ElectionTimeout(options) / 4);
  }
  return group.problem();
}

// Every member as it stood when a rule was broken.
std::string Picture(RaftGroup& group) {
  std::string text;
  for (auto& [node, member] : group.members()) {
    text += fmt::format("\nmember {}: state at {} (durable {}), disk ({}, {}] + {} units{}{}", node,
                        member.applied.index, member.flushed.index, member.disk.truncated,
                        member.disk.truncated + member.disk.entries.size(), member.disk.unsynced(),
                        member.retired ? ", retired" : "",
                        member.paused_until > group.events().now() ? ", paused" : "");
    text += member.raft == nullptr ? ", down" : "\n" + raft::ToString(member.raft->status());
  }
  return text;
}

}  // namespace

RaftResult RunRaft(const RaftOptions& options) {
  RaftGroup group(options);
  RaftLoad load(options, &group);
  group.RunUntil(options.load_time);
  load.Stop();
  std::string problem = group.problem();
  if (problem.empty()) {
    group.Heal();
    problem = AwaitLeader(options, group);
  }
  if (problem.empty()) problem = AwaitCalm(options, group);
  if (!problem.empty()) problem += Picture(group);
  return {.problem = problem,
          .at = group.events().now(),
          .events = group.events().ran(),
          .committed = group.checker().committed().value(),
          .trace_hash = group.trace_hash(),
          .counts = group.counts()};
}

}  // namespace store::sim
