// SPDX-License-Identifier: Apache-2.0
// Members that come and go: who may start, who may speak, who has left.
#include "tests/sim/store_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::sim {
namespace {

using raft::NodeId;

constexpr Time kStartAgain = 300 * kMillisecond;

}  // namespace

void StoreGroup::Join(NodeId node) {
  auto [at, fresh] = members_.try_emplace(node);
  if (!fresh) return;
  at->second.clock_rate = options_.clocks.Usual(random_);
  Say(fmt::format("member {:x} joins", node));
  Restart(node);
}

// As AskPeers of store/server for one that joins: who knows it decides, else the first that can be
// reached.
StoreGroup::Told StoreGroup::AskPeers(NodeId node) const {
  Told first;
  for (const auto& [peer, member] : members_) {
    const StoreProcess* process = member.process.get();
    bool reached = peer != node && process != nullptr && !network_.IsCut(node, peer) &&
                   !network_.IsCut(peer, node) && !member.process->host().paused();
    if (!reached) continue;
    apply::StateRef state = process->machine().Read();
    Told told = {
        .answered = true,
        .removed = std::binary_search(state->removed->begin(), state->removed->end(), node),
        .members = *state->members};
    if (told.removed || told.Knows(node)) return told;
    if (!first.answered) first = std::move(told);
  }
  return first;
}

// The rules of bootstrap: one that was removed does not start; one that joins must be told by the
// group who it is and whom to speak to, until its own state says so.
bool StoreGroup::MayStart(NodeId node, StoreMember& member, cluster::MemberList* remotes) {
  Told told;
  if (member.lives > 0 || !member.founder) told = AskPeers(node);
  if (told.removed) {
    ++counts_.removed_stopped;
    member.retired = true;
    Say(fmt::format("member {:x} learns at its start that it was removed", node));
    return false;
  }
  if (member.founder || member.disk.name.index != 0) return true;
  if (!told.Knows(node)) {
    events_.After(kStartAgain, [this, node] { Restart(node); });
    return false;
  }
  if (member.lives == 0) ++counts_.joined;
  *remotes = std::move(told.members);
  return true;
}

bool StoreGroup::CanSpare(NodeId node) const {
  const raft::ConfState conf = model_.members().Conf();
  auto sound = std::count_if(conf.voters.begin(), conf.voters.end(), [&](NodeId voter) {
    auto at = members_.find(voter);
    return voter != node && at != members_.end() && !at->second.wiped && at->second.lives > 0;
  });
  bool started = members_.contains(node) && members_.at(node).lives > 0;
  return started && static_cast<size_t>(sound) > conf.voters.size() / 2;
}

void StoreGroup::Wipe(NodeId node) {
  StoreMember& member = members_.at(node);
  Say(fmt::format("member {:x} loses its disk", node));
  Crash(node);
  ++counts_.wiped;
  member.wiped = true;
  wiped_ = node;
}

// As bootstrap does with an empty directory: the others are asked, and whoever has run before, or
// was removed, is refused.
void StoreGroup::StartWiped(NodeId node) {
  const Told told = AskPeers(node);
  if (!told.answered) return;
  bool ran = std::any_of(
      told.members.begin(), told.members.end(),
      [node](const cluster::Member& one) { return one.id == node && !one.client_urls.empty(); });
  ++(told.removed || ran ? counts_.wiped_refused : counts_.wiped_unknown);
}

bool StoreGroup::Lost() const {
  auto up = [this](NodeId voter) {
    auto at = members_.find(voter);
    return at != members_.end() && at->second.process != nullptr;
  };
  return std::none_of(members_.begin(), members_.end(), [&](const auto& row) {
    if (row.second.process == nullptr) return false;
    const std::vector<NodeId>& voters = row.second.process->conf().voters;
    auto alive = std::count_if(voters.begin(), voters.end(), up);
    return static_cast<size_t>(alive) > voters.size() / 2;
  });
}

void StoreGroup::OnLeft(StoreProcess& process) {
  NodeId node = process.self().node;
  events_.After(0, [this, node] {
    StoreMember& member = members_.at(node);
    if (member.process == nullptr) return;
    ++counts_.removed_stopped;
    Say(fmt::format("member {:x} was removed and ends", node));
    member.retired = true;
    Bury(member);
  });
}

void StoreGroup::Knock(StoreProcess& from, NodeId to) {
  NodeId node = from.self().node;
  network_.SendStream(node, to, [this, node, to] { (void)Listener(node, to); });
}

StoreProcess* StoreGroup::Listener(NodeId from, NodeId to) {
  auto at = members_.find(to);
  if (at == members_.end() || at->second.process == nullptr) return nullptr;
  StoreProcess* process = at->second.process.get();
  switch (process->membership().Judge(from)) {
    case MembershipView::Judgement::kKnown:
      return process;
    case MembershipView::Judgement::kUnknown:
      ++counts_.strangers;
      process->membership().AddRemote(from);
      return process;
    case MembershipView::Judgement::kRemoved:
      break;
  }
  network_.SendStream(to, from, [this, from] {
    auto sender = members_.find(from);
    if (sender == members_.end() || sender->second.process == nullptr) return;
    sender->second.process->ToldRemoved();
  });
  return nullptr;
}

}  // namespace store::sim
