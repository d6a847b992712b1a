// SPDX-License-Identifier: Apache-2.0
// Corruption: members that applied the same log must hold the same history. Their hashes of it
// (mvcc/kv_hash.h) are compared over the page /members/hashkv of the peer port:
//
//   at a start   --experimental-initial-corrupt-check: a member whose history differs from another
//                one's does not serve
//   in between   --experimental-corrupt-check-time: the leader compares all, and raises the CORRUPT
//                alarm of those that are alone with what they have
//
// Hashes are comparable only up to the same revision and with the same compaction; others are left
// for the next time. CorruptionMonitor: Start and Stop on its loop, which must run; the comparison
// itself runs where MaintenanceHooks::run_hash runs it, and blocks there. One at a time.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/executor.h"
#include "store/base/log.h"
#include "store/mvcc/kv_hash.h"
#include "store/replica/edge.h"
#include "store/replica/gauges.h"
#include "store/rpc/http_router.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::server {

struct MemberHash {
  raft::NodeId member;
  mvcc::KvHash hash;
};

// Those whose hash is not the one that most have, among the hashes that can be compared with the
// first one's; on a tie the first one (whoever compares) is right.
std::vector<raft::NodeId> Deviants(std::span<const MemberHash> hashes);

std::string EncodeHash(const mvcc::KvHash& hash);
std::optional<mvcc::KvHash> DecodeHash(std::string_view json);

// Asks all members but `self`; who does not answer is left out.
std::vector<MemberHash> AskHashes(const apply::StateMachine& machine, raft::NodeId self,
                                  Revision at);

// kCorruption, with etcd's words, when another member has another history up to where both are.
Status CheckInitialCorruption(const apply::StateMachine& machine, raft::NodeId self,
                              const Logger& log);

// GET /members/hashkv?revision=N. `run_hash` as of Maintenance.
using RunHash = absl::AnyInvocable<bool(Action&& action) const>;
void AddHashPage(rpc::HttpRouter& router, const apply::StateMachine& machine, RunHash run_hash);

class CorruptionMonitor {
 public:
  struct Parts {
    const apply::StateMachine& machine;
    replica::ReplicaDoor& door;
    const replica::RaftGauges& gauges;
    Executor& executor;
    RunHash run_hash;
    Logger log;
    raft::NodeId self;
  };

  CorruptionMonitor(Duration period, Parts parts) : period_(period), parts_(std::move(parts)) {}

  void Start();
  void Stop();

 private:
  void Check();
  void Raise(const std::vector<raft::NodeId>& members);

  const Duration period_;
  const Parts parts_;
  std::optional<Executor::TimerId> timer_;
};

}  // namespace store::server
