// SPDX-License-Identifier: Apache-2.0
// RaftLoad: what clients, operators and the nemesis do to a group, each kind at its own pace and
// from its own stream of the seed, so that one kind more changes nothing of the others. One thread.
#pragma once

#include "store/base/random.h"
#include "tests/sim/pacer.h"
#include "tests/sim/raft_group.h"
#include "tests/sim/raft_options.h"

#include <string_view>

namespace store::sim {

class RaftLoad {
 public:
  RaftLoad(const RaftOptions& options, RaftGroup* group);
  // Ends with the load; what was begun (pauses, cuts, crashes) is undone by RaftGroup::Heal.
  void Stop() { pacer_.Stop(); }

 private:
  using Act = void (RaftLoad::*)(Random&);
  void Every(Time mean, std::string_view name, Act act);
  raft::NodeId AnyMember(Random& random);
  // Mostly the leader: on a follower most of what one asks for is forwarded or refused.
  raft::NodeId LeaderOrAny(Random& random);

  void Propose(Random& random);
  void Read(Random& random);
  void LeaseRead(Random& random);
  void ChangeMembers(Random& random);
  void Transfer(Random& random);
  void CrashOne(Random& random);
  void PauseOne(Random& random);
  void CutLinks(Random& random);
  void ClogLink(Random& random);
  void ChangeRate(Random& random);

  const RaftOptions options_;
  RaftGroup* group_;
  Pacer pacer_;
  uint64_t commands_ = 0;
  uint64_t newest_member_;
};

}  // namespace store::sim
