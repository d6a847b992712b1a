// SPDX-License-Identifier: Apache-2.0
#include "store/api/cluster_service.h"

#include <utility>

namespace store::api {
namespace {

void ToProto(const cluster::Member& from, etcdserverpb::Member* to) {
  to->set_id(from.id.value());
  to->set_name(from.name);
  for (const std::string& url : from.peer_urls) to->add_peerurls(url);
  for (const std::string& url : from.client_urls) to->add_clienturls(url);
  to->set_islearner(from.learner);
}

}  // namespace

void ClusterService::Register(rpc::MethodTable& table) const {
  table.AddUnary<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse>(
      "/etcdserverpb.Cluster/MemberList", [this](ListCall call) {
        bool local = !call.request().linearizable();
        AwaitRead(context_, std::move(call), local,
                  [this](ListCall granted) { AnswerList(std::move(granted)); });
      });
}

void ClusterService::AnswerList(ListCall call) const {
  apply::StateRef state = context_.state.Read();
  etcdserverpb::MemberListResponse response;
  context_.header.Fill(Revision(0), response.mutable_header());
  for (const cluster::Member& member : *state->members) ToProto(member, response.add_members());
  call.Reply(response);
}

}  // namespace store::api
