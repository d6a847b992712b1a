// SPDX-License-Identifier: Apache-2.0
// StoreGroup: several simulated members, the links between them, the faults that befall them, and
// all that must hold whatever happens: the invariants of the raft group (raft_checker.h), every
// result of apply against the model of the log, equal states at equal indexes, and the clients'
// rules (client_checks.h). The first broken one ends the run. One thread.
#pragma once

#include "store/base/random.h"
#include "tests/sim/client_checks.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/kv_model.h"
#include "tests/sim/network.h"
#include "tests/sim/raft_checker.h"
#include "tests/sim/store_options.h"
#include "tests/sim/store_process.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

namespace store::sim {

struct StoreMember {
  StoreDisk disk;
  std::unique_ptr<StoreProcess> process;  // null while down
  uint64_t lives = 0;
  double clock_rate = 1;
  uint64_t digest = 0;  // of the applied entries
};

struct StoreCounts {
  uint64_t crashes = 0, torn = 0, power_cuts = 0, pauses = 0, cuts = 0, clogs = 0, wall_jumps = 0,
           full_disks = 0;
  uint64_t elections = 0, fetches = 0, hub_drops = 0, states_compared = 0;
  uint64_t calls = 0, answered = 0, watches = 0, events_seen = 0, leases_expired = 0;
  // Because leaders changed too often.
  uint64_t leases_unjudged = 0;
  void Add(const StoreCounts& other);
};

class StoreGroup final : private StoreWorld {
 public:
  explicit StoreGroup(const StoreOptions& options);
  ~StoreGroup() override;

  // Ends with a problem after so many events (0: never); prints what happens.
  void Limit(uint64_t events_max, bool trace) {
    events_max_ = events_max;
    trace_ = trace;
  }
  bool trace() const { return trace_; }
  // One line of the trace, with the time.
  void Say(std::string_view what) const;

  // Until virtual time `end` or the first problem.
  void RunUntil(Time end);
  void Fail(const std::string& problem) override;
  const std::string& problem() const { return problem_; }

  // Faults.
  void Crash(raft::NodeId node);
  void Restart(raft::NodeId node);
  void Pause(raft::NodeId node, Time time);
  // Links whole, every member up and awake, nothing lost any more.
  void Heal();

  std::map<raft::NodeId, StoreMember>& members() { return members_; }
  // Null while down.
  StoreProcess* ProcessOf(raft::NodeId node) { return members_.at(node).process.get(); }
  // The leader of the highest term, if any is up.
  StoreProcess* Leader();
  EventQueue& events() { return events_; }
  SimNetwork& network() { return network_; }
  StoreCounts& counts() { return counts_; }
  const RaftChecker& raft_checker() const { return raft_checker_; }
  const KvModel& model() const { return model_; }
  ClientChecks& checks() { return checks_; }
  // The whole state of one that is up against the model and against others at the same index.
  void CompareState(StoreProcess& process);
  // Of all that happened: equal for equal seeds.
  uint64_t trace_hash() const { return trace_hash_; }
  void Trace(uint64_t part) { trace_hash_ = (trace_hash_ ^ part) * 0x100000001b3; }

 private:
  // member, nonce, loop, counter
  using CallKey = std::tuple<uint64_t, uint64_t, uint32_t, uint64_t>;

  void Send(StoreProcess& from, const raft::Envelope& envelope) override;
  void SendPeer(StoreProcess& from, raft::NodeId to, replica::PeerMessage message) override;
  void OnUnit(StoreProcess& process, const raft::PersistUnit& unit) override;
  void OnEntry(StoreProcess& process, const raft::Entry& entry,
               const raft::ConfState& conf) override;
  void OnResult(StoreProcess& process, LoopId loop, const apply::CallResult& result) override;
  void OnBatch(StoreProcess& process, raft::Index applied) override;
  void OnInput(StoreProcess& process) override;
  void Deliver(const raft::Envelope& envelope);
  void Commit(const raft::Entry& entry);
  bool HoldsDurably(raft::NodeId node, raft::Index index, raft::Term term) const;

  const StoreOptions options_;
  Random random_;
  EventQueue events_;
  RaftChecker raft_checker_;
  SimNetwork network_;
  KvModel model_;
  raft::Index committed_;  // the model has it
  ClientChecks checks_;
  std::map<CallKey, ModelAnswer> answers_;
  std::map<raft::Index, uint64_t> states_;
  apply::InitialState initial_;
  std::map<raft::NodeId, StoreMember> members_;
  StoreCounts counts_;
  std::string problem_;
  uint64_t trace_hash_ = 0;
  uint64_t events_max_ = 0;
  bool trace_ = false;
};

}  // namespace store::sim
