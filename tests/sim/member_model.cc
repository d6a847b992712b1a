// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/member_model.h"

#include <algorithm>

namespace store::sim {

using raft::NodeId;
using sluice::store::MembershipChange;

void MemberModel::Begin(const std::vector<cluster::Member>& founders) {
  for (const cluster::Member& founder : founders) {
    etcdserverpb::Member& member = members_[founder.id];
    member.set_id(founder.id.value());
    member.set_name(founder.name);
    for (const std::string& url : founder.peer_urls) member.add_peerurls(url);
  }
}

raft::ConfState MemberModel::Conf() const {
  raft::ConfState conf;
  for (const auto& [id, member] : members_) {
    (member.islearner() ? conf.learners : conf.voters).push_back(id);
  }
  return conf;
}

bool MemberModel::Taken(const std::string& url, NodeId except) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& row) {
    const auto& urls = row.second.peerurls();
    return row.first != except && std::find(urls.begin(), urls.end(), url) != urls.end();
  });
}

template <class Response>
std::unique_ptr<Response> MemberModel::Listed() const {
  auto response = std::make_unique<Response>();
  for (const auto& [id, member] : members_) *response->add_members() = member;
  return response;
}

ModelAnswer MemberModel::Change(const raft::ConfChange& change, const MembershipChange& command) {
  ModelAnswer answer;
  if (removed_.contains(change.node)) {
    answer.error = ErrorCode::kMemberNotFound;
  } else if (command.verb() == MembershipChange::REMOVE) {
    answer.error = Remove(change.node);
    answer.response = Listed<etcdserverpb::MemberRemoveResponse>();
  } else if (command.verb() == MembershipChange::PROMOTE) {
    answer.error = Promote(change.node);
    answer.response = Listed<etcdserverpb::MemberPromoteResponse>();
  } else {
    answer.error = Add(change, command);
    auto response = Listed<etcdserverpb::MemberAddResponse>();
    if (answer.error == ErrorCode::kOk) *response->mutable_member() = members_.at(change.node);
    answer.response = std::move(response);
  }
  if (answer.error == ErrorCode::kOk) {
    ++changes_;
  } else {
    answer.response = nullptr;
  }
  return answer;
}

ErrorCode MemberModel::Add(const raft::ConfChange& change, const MembershipChange& command) {
  if (members_.contains(change.node)) return ErrorCode::kMemberExists;
  etcdserverpb::Member member;
  member.set_id(change.node.value());
  member.set_islearner(change.kind == raft::ConfChangeKind::kAddLearner);
  for (const std::string& url : command.member().raft_attributes().peer_urls()) {
    if (Taken(url, {})) return ErrorCode::kPeerUrlExists;
    member.add_peerurls(url);
  }
  auto learners = static_cast<uint32_t>(std::count_if(
      members_.begin(), members_.end(), [](const auto& row) { return row.second.islearner(); }));
  if (member.islearner() && learners >= command.learners_max()) return ErrorCode::kTooManyLearners;
  members_[change.node] = std::move(member);
  return ErrorCode::kOk;
}

ErrorCode MemberModel::Promote(NodeId id) {
  auto found = members_.find(id);
  if (found == members_.end()) return ErrorCode::kMemberNotFound;
  if (!found->second.islearner()) return ErrorCode::kMemberNotLearner;
  found->second.set_islearner(false);
  return ErrorCode::kOk;
}

ErrorCode MemberModel::Remove(NodeId id) {
  const raft::ConfState conf = Conf();
  if (conf.voters.size() == 1 && conf.voters.front() == id) {
    return ErrorCode::kMemberNotEnoughStarted;
  }
  if (members_.erase(id) == 0) return ErrorCode::kMemberNotFound;
  removed_.insert(id);
  return ErrorCode::kOk;
}

ModelAnswer MemberModel::Update(const etcdserverpb::MemberUpdateRequest& request) {
  ModelAnswer answer;
  const NodeId id(request.id());
  auto found = members_.find(id);
  bool taken = std::any_of(request.peerurls().begin(), request.peerurls().end(),
                           [&](const std::string& url) { return Taken(url, id); });
  if (found == members_.end()) {
    answer.error = ErrorCode::kMemberNotFound;
  } else if (taken) {
    answer.error = ErrorCode::kPeerUrlExists;
  } else {
    *found->second.mutable_peerurls() = request.peerurls();
    answer.response = Listed<etcdserverpb::MemberUpdateResponse>();
  }
  return answer;
}

void MemberModel::Publish(const membershippb::ClusterMemberAttrSetRequest& request) {
  auto found = members_.find(NodeId(request.member_id()));
  if (found == members_.end()) return;
  found->second.set_name(request.member_attributes().name());
  *found->second.mutable_clienturls() = request.member_attributes().client_urls();
}

}  // namespace store::sim
