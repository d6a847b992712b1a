// SPDX-License-Identifier: Apache-2.0
// RemoteCluster: what a running cluster says about itself to one that wants to join: the page
// /members of a peer port, as etcd serves it: JSON, with the cluster's id in a header. Asked at
// start only, by main's thread, which may block. All addresses at once, each by a thread of its
// own, so that members which all start wait for each other two seconds and not two for each; the
// answer has 1 MiB at most.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/cluster/cluster_table.h"
#include "store/rpc/http_router.h"

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::server {

struct RemoteCluster {
  ClusterId id;
  cluster::MemberList members;  // ascending by id
};

struct PeersAnswer {
  std::optional<RemoteCluster> cluster;  // the first that fits, else of the first that answers
  bool removed = false;                  // one says that the asker was removed for good
};
// Asks all peer URLs until one says what fits; `own`: the asker, 0 if it does not know yet. A
// member that is behind does not know yet who was added: who joins asks on until one knows it.
// `fits` is called by one thread at a time, not by the caller's.
PeersAnswer AskPeers(
    std::span<const std::string> peer_urls, raft::NodeId own,
    absl::FunctionRef<bool(const RemoteCluster&)> fits = [](const RemoteCluster&) { return true; });

// Who of the running cluster is the member `name` of the flags (`wanted`: name and sorted peer
// URLs). Both must name the same members; the error is etcd's. The result is that member's id.
struct NamedMember {
  std::string name;
  std::vector<std::string> peer_urls;
};
Result<raft::NodeId> MatchMembers(const RemoteCluster& remote, std::span<const NamedMember> wanted,
                                  std::string_view name);

std::string EncodeMembers(const cluster::MemberList& members);
Result<cluster::MemberList> DecodeMembers(std::string_view json);

// GET /members for whoever asks the peer port; 410 for one that was removed and says who it is.
// `read` is called on its loop.
struct MembersPage {
  struct Lists {
    std::shared_ptr<const cluster::MemberList> members;
    std::shared_ptr<const cluster::RemovedList> removed;
  };
  ClusterId id;
  absl::AnyInvocable<Lists() const> read;
};
void AddMembersPage(rpc::HttpRouter& router, MembersPage page);

}  // namespace store::server
