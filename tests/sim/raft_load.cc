// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/raft_load.h"

#include "store/raft/quorum.h"
#include "tests/sim/draw.h"
#include "tests/sim/partition.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

namespace store::sim {
namespace {

using raft::NodeId;

}  // namespace

RaftLoad::RaftLoad(const RaftOptions& options, RaftGroup* group)
    : options_(options),
      group_(group),
      pacer_(&group->events(), options.seed),
      newest_member_(static_cast<uint64_t>(options.members)) {
  Every(options.propose_every, "propose", &RaftLoad::Propose);
  Every(options.read_every, "read", &RaftLoad::Read);
  if (options.raft.lease_reads && options.clocks.wild == 1) {
    Every(options.read_every, "lease read", &RaftLoad::LeaseRead);
  }
  Every(options.conf_change_every, "members", &RaftLoad::ChangeMembers);
  Every(options.transfer_every, "transfer", &RaftLoad::Transfer);
  Every(options.crash_every, "crash", &RaftLoad::CrashOne);
  Every(options.pause_every, "pause", &RaftLoad::PauseOne);
  Every(options.cut_every, "cut", &RaftLoad::CutLinks);
  Every(options.clog_every, "clog", &RaftLoad::ClogLink);
  Every(options.clocks.change_every, "rate", &RaftLoad::ChangeRate);
}

void RaftLoad::Every(Time mean, std::string_view name, Act act) {
  pacer_.Every(mean, name, [this, act](Random& random) { (this->*act)(random); });
}

NodeId RaftLoad::AnyMember(Random& random) {
  auto at = group_->members().begin();
  std::advance(at, static_cast<int64_t>(random.Below(group_->members().size())));
  return at->first;
}

NodeId RaftLoad::LeaderOrAny(Random& random) {
  NodeId any = AnyMember(random);
  bool prefer = random.Chance(0.8);
  RaftMember* leader = group_->Leader();
  return prefer && leader != nullptr ? leader->config.id : any;
}

void RaftLoad::Propose(Random& random) {
  std::vector<std::string> commands(random.Between(1, 3));
  for (std::string& command : commands) {
    command = fmt::format("{} ", ++commands_);
    command.append(random.Below(options_.command_bytes_max), 'x');
  }
  group_->Propose(LeaderOrAny(random), std::move(commands));
}

void RaftLoad::Read(Random& random) { group_->Read(LeaderOrAny(random)); }

// Of everybody who believes to lead: the stale leader is the interesting one.
void RaftLoad::LeaseRead(Random&) {
  for (auto& [node, member] : group_->members()) group_->LeaseRead(node);
}

void RaftLoad::ChangeMembers(Random& random) {
  RaftMember* leader = group_->Leader();
  if (leader == nullptr) return;
  const raft::ConfState& conf = leader->before.conf;
  size_t members = conf.voters.size() + conf.learners.size();
  NodeId known = AnyMember(random);
  raft::ConfChange change;
  bool add = members < 3 || (members < 7 && random.Chance(0.5));
  if (add) {
    change.node = NodeId(newest_member_ + 1);
    change.kind =
        random.Chance(0.5) ? raft::ConfChangeKind::kAddVoter : raft::ConfChangeKind::kAddLearner;
  } else if (raft::IsLearner(conf, known) && random.Chance(0.7)) {
    change = {raft::ConfChangeKind::kAddVoter, known, {}};
  } else if (conf.voters.size() > 2 || !raft::IsVoter(conf, known)) {
    // Not from two voters: if the removed one was the leader and knows alone that it is removed,
    // the other can neither win its vote nor do without (store/raft/README.md, limits).
    change = {raft::ConfChangeKind::kRemove, known, {}};
  } else {
    return;
  }
  group_->ProposeConfChange(leader->config.id, change);
  if (group_->members().contains(NodeId(newest_member_ + 1))) ++newest_member_;
}

void RaftLoad::Transfer(Random& random) {
  RaftMember* leader = group_->Leader();
  NodeId to = AnyMember(random);
  if (leader != nullptr) group_->Transfer(leader->config.id, to);
}

void RaftLoad::CrashOne(Random& random) {
  NodeId node = LeaderOrAny(random);
  Time away = TimeBetween(random, 0, random.Chance(0.3) ? 10 * kSecond : kSecond / 4);
  group_->Crash(node);
  group_->events().After(away, [this, node] { group_->Restart(node); });
}

void RaftLoad::PauseOne(Random& random) {
  NodeId node = LeaderOrAny(random);
  group_->Pause(node, TimeBetween(random, 0, random.Chance(0.3) ? 5 * kSecond : kSecond / 2));
}

void RaftLoad::CutLinks(Random& random) {
  NodeId node = LeaderOrAny(random);
  std::vector<NodeId> members;
  for (auto& [peer, member] : group_->members()) members.push_back(peer);
  Partition cut = DrawPartition(random, node, members);
  ++group_->counts().cuts;
  if (cut.shape == PartitionShape::kHalves) ++group_->counts().halves;
  if (cut.shape == PartitionShape::kBridge) ++group_->counts().bridges;
  Time time = TimeBetween(random, 0, random.Chance(0.3) ? 8 * kSecond : kSecond);
  group_->network().Cut(cut.links);
  group_->events().After(time,
                         [this, links = std::move(cut.links)] { group_->network().Mend(links); });
}

void RaftLoad::ClogLink(Random& random) {
  ++group_->counts().clogs;
  NodeId from = LeaderOrAny(random);
  NodeId to = AnyMember(random);
  Time until = group_->events().now() + TimeBetween(random, 0, 3 * kSecond);
  group_->network().Clog(from, to, until);
}

void RaftLoad::ChangeRate(Random& random) {
  NodeId node = LeaderOrAny(random);
  group_->SetClockRate(node, options_.clocks.Changed(random));
}

}  // namespace store::sim
