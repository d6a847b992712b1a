// SPDX-License-Identifier: Apache-2.0
#include "store/api/cluster_service.h"

#include "store/apply/apply_cluster.h"
#include "store/apply/command.h"
#include "store/base/url.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace store::api {
namespace {

using replica::MemberChange;
using sluice::store::MembershipChange;

constexpr int64_t kMicrosPerSecond = 1'000'000;

// Sorted, and as the member itself will write them: who it is told by its URLs. kMemberBadUrls when
// one cannot be a peer's address, or there is none. The slash that flags may end with is a path
// here.
Result<std::vector<std::string>> PeerUrls(
    const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::vector<std::string> urls;
  for (const std::string& text : texts) {
    auto url = ParseUrl(text);
    if (!url || TrimSpaces(text).ends_with('/')) return Fail(ErrorCode::kMemberBadUrls);
    urls.push_back(url->ToString());
  }
  if (urls.empty()) return Fail(ErrorCode::kMemberBadUrls);
  std::sort(urls.begin(), urls.end());
  return urls;
}

// Hands the change to the leader; what apply answers is the call's answer.
template <class Request, class Response>
void ChangeMembers(const ServiceContext& context, rpc::Call<Request, Response> call,
                   MemberChange::Verb verb, raft::ConfChange change, MembershipChange command) {
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context.At(call.info().loop);
  auto make = [&](const apply::RequestId& id) -> decltype(replica::AdminRequest::what) {
    change.context = apply::EncodeMembershipChange(id, command);
    return MemberChange{verb, change};
  };
  CallHandle handle =
      pending.Admin(make, raw->info().deadline,
                    [&context, call = std::move(call)](apply::CallResult result) mutable {
                      result.revision = Revision(0);
                      ReplyResult(context, call, result);
                    });
  DropOnCancel(raw, pending, handle);
}

}  // namespace

void ClusterService::Register(rpc::MethodTable& table) const {
  using namespace etcdserverpb;
  table.AddUnary<MemberListRequest, MemberListResponse>(
      "/etcdserverpb.Cluster/MemberList", [this](ListCall call) {
        bool local = !call.request().linearizable();
        AwaitRead(context_, std::move(call), local,
                  [this](ListCall granted) { List(std::move(granted)); });
      });
  table.AddUnary<MemberAddRequest, MemberAddResponse>(
      "/etcdserverpb.Cluster/MemberAdd", [this](AddCall call) { Add(std::move(call)); });
  table.AddUnary<MemberRemoveRequest, MemberRemoveResponse>(
      "/etcdserverpb.Cluster/MemberRemove", [this](RemoveCall call) { Remove(std::move(call)); });
  table.AddUnary<MemberUpdateRequest, MemberUpdateResponse>(
      "/etcdserverpb.Cluster/MemberUpdate", [this](UpdateCall call) { Update(std::move(call)); });
  table.AddUnary<MemberPromoteRequest, MemberPromoteResponse>(
      "/etcdserverpb.Cluster/MemberPromote",
      [this](PromoteCall call) { Promote(std::move(call)); });
}

void ClusterService::List(ListCall call) const {
  apply::StateRef state = context_.state.Read();
  etcdserverpb::MemberListResponse response;
  context_.header.Fill(Revision(0), response.mutable_header());
  for (const cluster::Member& member : *state->members) {
    apply::ToProto(member, response.add_members());
  }
  call.Reply(response);
}

void ClusterService::Add(AddCall call) const {
  auto urls = PeerUrls(call.request().peerurls());
  if (!urls) return call.Fail(StatusOf(urls.error()));
  bool learner = call.request().islearner();
  raft::ConfChange change;
  change.kind = learner ? raft::ConfChangeKind::kAddLearner : raft::ConfChangeKind::kAddVoter;
  change.node = cluster::AddedMemberId(*urls, clock_.WallMicros() / kMicrosPerSecond);
  MembershipChange command;
  command.set_verb(MembershipChange::ADD);
  command.set_learners_max(context_.limits.learners_max);
  for (std::string& url : *urls) {
    command.mutable_member()->mutable_raft_attributes()->add_peer_urls(std::move(url));
  }
  ChangeMembers(context_, std::move(call), MemberChange::Verb::kAdd, std::move(change),
                std::move(command));
}

void ClusterService::Remove(RemoveCall call) const {
  raft::ConfChange change{raft::ConfChangeKind::kRemove, raft::NodeId(call.request().id()), {}};
  MembershipChange command;
  command.set_verb(MembershipChange::REMOVE);
  ChangeMembers(context_, std::move(call), MemberChange::Verb::kRemove, std::move(change),
                std::move(command));
}

void ClusterService::Update(UpdateCall call) const {
  sluice::store::Command command;
  *command.mutable_member_update() = std::move(call.mutable_request());
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context_.At(call.info().loop);
  CallHandle handle =
      pending.Propose(command, raw->info().deadline,
                      [this, call = std::move(call)](apply::CallResult result) mutable {
                        result.revision = Revision(0);
                        ReplyResult(context_, call, result);
                      });
  DropOnCancel(raw, pending, handle);
}

void ClusterService::Promote(PromoteCall call) const {
  raft::ConfChange change{raft::ConfChangeKind::kAddVoter, raft::NodeId(call.request().id()), {}};
  MembershipChange command;
  command.set_verb(MembershipChange::PROMOTE);
  ChangeMembers(context_, std::move(call), MemberChange::Verb::kPromote, std::move(change),
                std::move(command));
}

}  // namespace store::api
