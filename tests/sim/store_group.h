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
#include "tests/sim/store_counts.h"
#include "tests/sim/store_options.h"
#include "tests/sim/store_process.h"

#include <algorithm>
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
  double clock_rate = 1;  // of its next life, too
  uint64_t digest = 0;    // of the applied entries
  bool founder = false;   // began with the group; the others join it
  bool retired = false;   // knows that it was removed
  bool wiped = false;     // its disk is lost: what is left of it here is for the checks only
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
  // As by a signal: it has so long to hand over.
  void Stop(raft::NodeId node, Time patience);
  void Restart(raft::NodeId node);
  void Pause(raft::NodeId node, Time time);
  void SetClockRate(raft::NodeId node, double rate);
  // A member that was added: it starts as soon as somebody tells it about the group.
  void Join(raft::NodeId node);
  // The disk of a member is lost, with its process; it must be replaced under a new id.
  void Wipe(raft::NodeId node);
  // Its process is started on an empty disk all the same.
  void StartWiped(raft::NodeId node);
  void Replaced() { wiped_ = raft::NodeId(); }
  // 0: every member that lost its disk was removed.
  raft::NodeId wiped() const { return wiped_; }
  // The other voters are a quorum, with their disks.
  bool CanSpare(raft::NodeId node) const;
  // No member that is up could be elected by those that are: by what each of them has applied.
  bool Lost() const;
  // Links whole, every member up and awake, nothing lost any more.
  void Heal();

  std::map<raft::NodeId, StoreMember>& members() { return members_; }
  // Null while down.
  StoreProcess* ProcessOf(raft::NodeId node) { return members_.at(node).process.get(); }
  // The leader of the highest term, if any is up.
  StoreProcess* Leader();
  EventQueue& events() { return events_; }
  SimNetwork& network() { return network_; }
  StoreCounts& counts() override { return counts_; }
  bool healed() const override { return healed_; }
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
  void OnLeft(StoreProcess& process) override;
  void Knock(StoreProcess& from, raft::NodeId to) override;
  // The member at the other end, if it is up and lets `from` speak.
  StoreProcess* Listener(raft::NodeId from, raft::NodeId to);
  // What the first member that answers says to one that starts.
  struct Told {
    bool answered = false;
    bool removed = false;
    cluster::MemberList members;

    bool Knows(raft::NodeId node) const {
      return std::any_of(members.begin(), members.end(),
                         [node](const cluster::Member& one) { return one.id == node; });
    }
  };
  Told AskPeers(raft::NodeId node) const;
  bool MayStart(raft::NodeId node, StoreMember& member, cluster::MemberList* remotes);
  void ApplyChange(const raft::Entry& entry);
  // Its process ends.
  void Bury(StoreMember& member);
  void Expect(const apply::RequestId& id, ModelAnswer answer, raft::Index index);
  void SendPacket(StoreProcess& from, raft::NodeId to, SnapshotPacket packet) override;
  void OnView(StoreProcess& process, const mvcc::HeldView& view) override;
  void OnInstalling(StoreProcess& process) override;
  void OnInstalled(StoreProcess& process, const raft::SnapshotMeta& meta) override;
  void OnUnit(StoreProcess& process, const raft::PersistUnit& unit) override;
  void OnEntry(StoreProcess& process, const raft::Entry& entry,
               const raft::ConfState& conf) override;
  void OnResult(StoreProcess& process, LoopId loop, const apply::CallResult& result) override;
  void OnBatch(StoreProcess& process, raft::Index applied) override;
  void OnTick(StoreProcess& process) override;
  void OnMessage(StoreProcess& process, const raft::Envelope& envelope) override;
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
  raft::Index committed_ = kFoundingIndex;  // the model has it
  ClientChecks checks_;
  std::map<CallKey, ModelAnswer> answers_;
  std::map<raft::Index, uint64_t> states_;
  apply::InitialState initial_;
  raft::NodeId wiped_;
  std::map<raft::NodeId, StoreMember> members_;
  StoreCounts counts_;
  std::string problem_;
  uint64_t trace_hash_ = 0;
  uint64_t events_max_ = 0;
  bool trace_ = false;
  bool healed_ = false;
};

}  // namespace store::sim
