// SPDX-License-Identifier: Apache-2.0
// ClusterTable: the replicated membership: who belongs to the cluster and which ids never may
// again, and the version all members have agreed on. Every change also writes its row into the
// batch, so a restored table is the table. Rows in `sys`:
//
//   kMember 'm' · id (8)   u8 format (1) · u8 flags (1 learner) · name · count · peer URLs · count
//   · client URLs
//   kMember 'r' · id (8)   empty: this id was removed
//   kClusterVersion        the version as text
//   kDowngrade             the target as text; no row: no downgrade is under way
//
// with strings length-prefixed and counts as varints.
// One owner: the apply thread; readers get the shared copies, which are immutable and made anew
// only by a change. Bounded by: the number of membership changes ever made.
#pragma once

#include "store/base/error.h"
#include "store/cluster/member.h"
#include "store/cluster/version.h"
#include "store/engine/engine.h"
#include "store/raft/types.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::cluster {

using MemberList = std::vector<Member>;         // ascending by id
using RemovedList = std::vector<raft::NodeId>;  // ascending

class ClusterTable {
 public:
  ClusterTable();

  // Replaces everything by what the rows say.
  Status Restore(const engine::Engine& engine);

  // false, and no effect: the id is a member already, or was removed once.
  bool Add(const Member& member, engine::WriteBatch& batch);
  // false: no such member. The id can never be added again.
  bool Remove(raft::NodeId id, engine::WriteBatch& batch);
  // A learner becomes a voter. false: no such member or no learner.
  bool Promote(raft::NodeId id, engine::WriteBatch& batch);
  // false: no such member.
  bool SetPeerUrls(raft::NodeId id, std::vector<std::string> urls, engine::WriteBatch& batch);
  // What a member says about itself. false: no such member.
  bool Publish(raft::NodeId id, std::string name, std::vector<std::string> client_urls,
               engine::WriteBatch& batch);
  void SetVersion(std::string version, engine::WriteBatch& batch);
  void SetDowngrade(Downgrade downgrade, engine::WriteBatch& batch);

  const Member* Find(raft::NodeId id) const;
  bool WasRemoved(raft::NodeId id) const { return removed_.contains(id); }
  // One of these peer URLs belongs to a member other than `except`.
  bool UrlTaken(std::span<const std::string> urls, raft::NodeId except) const;
  size_t learners() const;
  // Never null.
  const std::shared_ptr<const MemberList>& members() const { return shared_; }
  const std::shared_ptr<const RemovedList>& removed() const { return shared_removed_; }
  const std::shared_ptr<const std::string>& version() const { return version_; }
  const std::shared_ptr<const Downgrade>& downgrade() const { return downgrade_; }

 private:
  void Write(const Member& member, engine::WriteBatch& batch);
  void Share();

  std::map<raft::NodeId, Member> members_;
  std::set<raft::NodeId> removed_;
  std::shared_ptr<const MemberList> shared_;
  std::shared_ptr<const RemovedList> shared_removed_;
  std::shared_ptr<const std::string> version_;  // empty until decided
  std::shared_ptr<const Downgrade> downgrade_;
};

// The value of a member's row, for the table and for offline inspection.
std::string EncodeMember(const Member& member);
Result<Member> DecodeMember(raft::NodeId id, std::string_view bytes);

}  // namespace store::cluster
