// SPDX-License-Identifier: Apache-2.0
// StoreOperators: what administrators do to a simulated group, by the API of any member and under
// all its faults: members are added (voters and learners), promoted, removed, given other
// addresses, leadership is moved, a disk is lost and its member replaced under a new id. What was
// added is started, now or a little later. Members that lost their disk are tried under their old
// id, too: they must be refused. One thread.
#pragma once

#include "tests/sim/client_calls.h"
#include "tests/sim/pacer.h"
#include "tests/sim/store_group.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace store::sim {

class StoreOperators {
 public:
  StoreOperators(const StoreOptions& options, StoreGroup* group, ClientCalls* calls, Pacer* pacer);

  // What must be done that the group is whole again: starts who was added, replaces who lost its
  // disk. By `process`, if it is not null.
  void Reconcile(StoreProcess* process);

 private:
  template <class Response, class Request>
  void Change(StoreProcess* process, std::string_view path, const Request& request);
  StoreProcess* AnyProcess(Random& random);
  raft::NodeId AnyMember(Random& random);
  std::string NewUrl();
  void AddMember(StoreProcess* process, bool learner);

  void Add(Random& random);
  void Remove(Random& random);
  void Promote(Random& random);
  void Update(Random& random);
  void MoveLeader(Random& random);
  void Wipe(Random& random);

  StoreGroup& group_;
  ClientCalls& calls_;
  uint64_t urls_ = 100;
  uint64_t to_replace_ = 0;  // wiped members that were removed
};

}  // namespace store::sim
