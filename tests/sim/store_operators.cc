// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_operators.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace store::sim {
namespace {

using raft::NodeId;

constexpr size_t kMembersMax = 7;
constexpr Time kReconcileEvery = 400 * kMillisecond;

}  // namespace

StoreOperators::StoreOperators(const StoreOptions& options, StoreGroup* group, ClientCalls* calls,
                               Pacer* pacer)
    : group_(*group), calls_(*calls) {
  const auto every = [&](Time mean, std::string_view name, void (StoreOperators::*act)(Random&)) {
    pacer->Every(mean, name, [this, act](Random& random) { (this->*act)(random); });
  };
  every(options.add_every, "member-add", &StoreOperators::Add);
  every(options.remove_every, "member-remove", &StoreOperators::Remove);
  every(options.promote_every, "promote", &StoreOperators::Promote);
  every(options.update_every, "member-update", &StoreOperators::Update);
  every(options.move_every, "move-leader", &StoreOperators::MoveLeader);
  every(options.wipe_every, "wipe", &StoreOperators::Wipe);
  if (!options.changes_members()) return;
  pacer->Every(kReconcileEvery, "reconcile",
               [this](Random& random) { Reconcile(AnyProcess(random)); });
}

StoreProcess* StoreOperators::AnyProcess(Random& random) {
  auto at = group_.members().begin();
  std::advance(at, static_cast<ptrdiff_t>(random.Below(group_.members().size())));
  return at->second.process.get();
}

NodeId StoreOperators::AnyMember(Random& random) {
  const auto& members = group_.model().members().members();
  auto at = members.begin();
  std::advance(at, static_cast<ptrdiff_t>(random.Below(members.size())));
  return at->first;
}

std::string StoreOperators::NewUrl() { return fmt::format("http://10.0.0.{}:2380", ++urls_); }

// What became of it, the log says.
template <class Response, class Request>
void StoreOperators::Change(StoreProcess* process, std::string_view path, const Request& request) {
  calls_.Call<Response>(
      process, path, request, [this](const CallStart&, const rpc::RpcStatus& status, const auto&) {
        ++(status.ok() ? group_.counts().member_changes : group_.counts().member_refusals);
        return std::string();
      });
}

void StoreOperators::AddMember(StoreProcess* process, bool learner) {
  etcdserverpb::MemberAddRequest request;
  request.add_peerurls(NewUrl());
  request.set_islearner(learner);
  calls_.Call<etcdserverpb::MemberAddResponse>(
      process, "/etcdserverpb.Cluster/MemberAdd", request,
      [this, learner](const CallStart&, const rpc::RpcStatus& status, const auto& response) {
        if (!status.ok()) {
          ++group_.counts().member_refusals;
          return std::string();
        }
        ++(learner ? group_.counts().learners_added : group_.counts().voters_added);
        group_.Join(NodeId(response.member().id()));
        return std::string();
      });
}

void StoreOperators::Add(Random& random) {
  StoreProcess* process = AnyProcess(random);
  bool learner = random.Chance(0.5);
  if (group_.model().members().members().size() < kMembersMax) AddMember(process, learner);
}

void StoreOperators::Remove(Random& random) {
  StoreProcess* process = AnyProcess(random);
  NodeId node = AnyMember(random);
  // Who has lost its disk goes first; to take another one away meanwhile is how groups are lost.
  if (group_.wiped() != NodeId()) return;
  etcdserverpb::MemberRemoveRequest request;
  request.set_id(node.value());
  Change<etcdserverpb::MemberRemoveResponse>(process, "/etcdserverpb.Cluster/MemberRemove",
                                             request);
}

void StoreOperators::Promote(Random& random) {
  StoreProcess* process = AnyProcess(random);
  etcdserverpb::MemberPromoteRequest request;
  request.set_id(AnyMember(random).value());
  for (NodeId learner : group_.model().members().Conf().learners) request.set_id(learner.value());
  calls_.Call<etcdserverpb::MemberPromoteResponse>(
      process, "/etcdserverpb.Cluster/MemberPromote", request,
      [this](const CallStart&, const rpc::RpcStatus& status, const auto&) {
        ++(status.ok() ? group_.counts().promoted : group_.counts().member_refusals);
        return std::string();
      });
}

void StoreOperators::Update(Random& random) {
  StoreProcess* process = AnyProcess(random);
  etcdserverpb::MemberUpdateRequest request;
  request.set_id(AnyMember(random).value());
  const auto& other = group_.model().members().members().at(AnyMember(random));
  request.add_peerurls(random.Chance(0.2) ? other.peerurls(0) : NewUrl());
  Change<etcdserverpb::MemberUpdateResponse>(process, "/etcdserverpb.Cluster/MemberUpdate",
                                             request);
}

void StoreOperators::MoveLeader(Random& random) {
  StoreProcess* leader = group_.Leader();
  etcdserverpb::MoveLeaderRequest request;
  request.set_targetid(AnyMember(random).value());
  calls_.Call<etcdserverpb::MoveLeaderResponse>(
      leader, "/etcdserverpb.Maintenance/MoveLeader", request,
      [this](const CallStart&, const rpc::RpcStatus& status, const auto&) {
        if (status.ok()) ++group_.counts().leader_moves;
        return std::string();
      });
}

// One at a time, and only where the others can go on without it.
void StoreOperators::Wipe(Random& random) {
  NodeId node = AnyMember(random);
  bool tries = random.Chance(0.5);
  Time back = TimeBetween(random, 0, 2 * kSecond);
  if (group_.wiped() != NodeId() || !group_.CanSpare(node)) return;
  group_.Wipe(node);
  if (tries) group_.events().After(back, [this, node] { group_.StartWiped(node); });
}

void StoreOperators::Reconcile(StoreProcess* process) {
  const auto& members = group_.model().members().members();
  for (const auto& [node, member] : members) {
    if (!group_.members().contains(node)) group_.Join(node);
  }
  NodeId wiped = group_.wiped();
  if (wiped != NodeId() && !members.contains(wiped)) {
    group_.Replaced();
    ++to_replace_;
    wiped = NodeId();
  }
  if (process == nullptr) return;
  if (wiped != NodeId()) {
    etcdserverpb::MemberRemoveRequest request;
    request.set_id(wiped.value());
    Change<etcdserverpb::MemberRemoveResponse>(process, "/etcdserverpb.Cluster/MemberRemove",
                                               request);
  } else if (to_replace_ > 0) {
    --to_replace_;
    ++group_.counts().replaced;
    AddMember(process, false);
  }
}

}  // namespace store::sim
