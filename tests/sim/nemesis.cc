// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/nemesis.h"

#include "tests/sim/partition.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

namespace store::sim {

using raft::NodeId;

StoreNemesis::StoreNemesis(const StoreOptions& options, StoreGroup* group, Pacer* pacer)
    : clocks_(options.clocks), group_(*group) {
  const auto every = [&](Time mean, std::string_view name, void (StoreNemesis::*act)(Random&)) {
    pacer->Every(mean, name, [this, act](Random& random) { (this->*act)(random); });
  };
  every(options.crash_every, "crash", &StoreNemesis::CrashOne);
  every(options.crash_all_every, "power", &StoreNemesis::CrashAll);
  every(options.pause_every, "pause", &StoreNemesis::PauseOne);
  every(options.stop_every, "stop", &StoreNemesis::StopOne);
  every(options.cut_every, "cut", &StoreNemesis::CutLinks);
  every(options.clog_every, "clog", &StoreNemesis::ClogLink);
  every(options.full_every, "full", &StoreNemesis::FillDisk);
  every(options.wall_jump_every, "wall", &StoreNemesis::JumpWall);
  every(options.clocks.change_every, "rate", &StoreNemesis::ChangeRate);
}

NodeId StoreNemesis::AnyMember(Random& random) {
  auto at = group_.members().begin();
  std::advance(at, static_cast<ptrdiff_t>(random.Below(group_.members().size())));
  return at->first;
}

NodeId StoreNemesis::LeaderOrAny(Random& random) {
  NodeId any = AnyMember(random);
  bool prefer = random.Chance(0.6);
  StoreProcess* leader = group_.Leader();
  return prefer && leader != nullptr ? leader->self().node : any;
}

void StoreNemesis::RestartAfter(NodeId node, Time away) {
  group_.events().After(away, [this, node] { group_.Restart(node); });
}

void StoreNemesis::CrashOne(Random& random) {
  NodeId node = LeaderOrAny(random);
  group_.Crash(node);
  RestartAfter(node, TimeBetween(random, 0, random.Chance(0.3) ? 10 * kSecond : kSecond / 4));
}

void StoreNemesis::CrashAll(Random& random) {
  ++group_.counts().power_cuts;
  for (auto& [node, member] : group_.members()) {
    group_.Crash(node);
    RestartAfter(node, TimeBetween(random, 0, kSecond));
  }
}

void StoreNemesis::PauseOne(Random& random) {
  NodeId node = LeaderOrAny(random);
  group_.Pause(node, TimeBetween(random, 0, random.Chance(0.3) ? 5 * kSecond : kSecond / 2));
}

void StoreNemesis::StopOne(Random& random) {
  NodeId node = LeaderOrAny(random);
  Time patience = TimeBetween(random, 0, random.Chance(0.5) ? kSecond : kSecond / 10);
  group_.Stop(node, patience);
  RestartAfter(node, patience + TimeBetween(random, 0, kSecond));
}

void StoreNemesis::CutLinks(Random& random) {
  NodeId node = LeaderOrAny(random);
  std::vector<NodeId> members;
  for (auto& [peer, member] : group_.members()) members.push_back(peer);
  Partition cut = DrawPartition(random, node, members);
  ++group_.counts().cuts;
  if (cut.shape == PartitionShape::kHalves) ++group_.counts().halves;
  if (cut.shape == PartitionShape::kBridge) ++group_.counts().bridges;
  Time time = TimeBetween(random, 0, random.Chance(0.3) ? 8 * kSecond : kSecond);
  group_.Say(fmt::format("links are cut for {} us: {}", time, cut.text));
  group_.network().Cut(cut.links);
  group_.events().After(time,
                        [this, links = std::move(cut.links)] { group_.network().Mend(links); });
}

void StoreNemesis::ClogLink(Random& random) {
  ++group_.counts().clogs;
  NodeId from = LeaderOrAny(random);
  NodeId to = AnyMember(random);
  group_.network().Clog(from, to, group_.events().now() + TimeBetween(random, 0, 3 * kSecond));
}

void StoreNemesis::FillDisk(Random& random) {
  NodeId node = LeaderOrAny(random);
  StoreProcess* process = group_.ProcessOf(node);
  Time time = TimeBetween(random, 0, random.Chance(0.3) ? 5 * kSecond : kSecond / 2);
  if (process == nullptr) return;
  ++group_.counts().full_disks;
  process->SetFull(true);
  // A crash gives it a new engine, which has room.
  group_.events().After(time, [this, node] {
    if (StoreProcess* now = group_.ProcessOf(node)) now->SetFull(false);
  });
}

void StoreNemesis::JumpWall(Random& random) {
  StoreProcess* process = group_.ProcessOf(AnyMember(random));
  Time by = TimeBetween(random, 0, 3600 * kSecond) - 1800 * kSecond;
  if (process == nullptr) return;
  ++group_.counts().wall_jumps;
  process->clock().JumpWall(by);
}

void StoreNemesis::ChangeRate(Random& random) {
  NodeId node = LeaderOrAny(random);
  group_.SetClockRate(node, clocks_.Changed(random));
}

}  // namespace store::sim
