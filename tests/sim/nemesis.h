// SPDX-License-Identifier: Apache-2.0
// StoreNemesis: the faults that befall a simulated group, each kind at its own pace: members and
// all at once crash and come back, members are told to stop, or stand still for a while, links are
// cut in several shapes (partition.h), hold everything back, disks are full, wall clocks jump,
// clocks run faster or slower. What was begun is undone by StoreGroup::Heal. One thread.
#pragma once

#include "tests/sim/pacer.h"
#include "tests/sim/store_group.h"

namespace store::sim {

class StoreNemesis {
 public:
  StoreNemesis(const StoreOptions& options, StoreGroup* group, Pacer* pacer);

 private:
  raft::NodeId AnyMember(Random& random);
  // Mostly the leader: there it hurts.
  raft::NodeId LeaderOrAny(Random& random);
  void RestartAfter(raft::NodeId node, Time away);

  void CrashOne(Random& random);
  void CrashAll(Random& random);
  void PauseOne(Random& random);
  void StopOne(Random& random);
  void CutLinks(Random& random);
  void ClogLink(Random& random);
  void FillDisk(Random& random);
  void JumpWall(Random& random);
  void ChangeRate(Random& random);

  const ClockOptions clocks_;
  StoreGroup& group_;
};

}  // namespace store::sim
