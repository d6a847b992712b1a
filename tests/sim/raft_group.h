// SPDX-License-Identifier: Apache-2.0
// RaftGroup: the production core of several members in one thread, each behind a host that does
// what store/replica does with real threads: it takes outputs, writes and syncs units, applies,
// installs, fetches, cuts the log and grants reads, every step after a time drawn from the seed.
// What can go wrong with a member from outside (crash, pause, cut links) are methods here; who
// calls them when is raft_load.h. After every event the invariants are checked; the first broken
// one ends the run.
#pragma once

#include "store/base/random.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"
#include "tests/sim/raft_checker.h"
#include "tests/sim/raft_options.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace store::sim {

struct Applied {
  raft::Index index;
  raft::Term term;
  StateAt state;
};

struct RaftMember {
  raft::Config config;
  std::unique_ptr<raft::Raft> raft;  // null while down
  raft::UnitDisk disk;
  uint64_t life = 0;       // events of an earlier one are void
  raft::Index removed_at;  // the entry that removed it from the group
  bool retired = false;    // removed, and enough others know: never comes back
  Time paused_until = 0;
  std::deque<EventQueue::Event> parked;  // due while it is paused
  OwnTime clock;
  Applied applied;
  Applied flushed;  // what of it survives a crash
  std::deque<raft::EntryPtr> to_apply;
  raft::Status before;
  bool taking = false, syncing = false, applying = false;  // an event for it is on its way
  std::map<raft::ReadId, raft::Index> reads;  // open batches, and what they must see at least
  std::map<raft::ReadId, Time> rounds_sent;   // on the own clock
  Time lease_until = 0;                       // on the own clock
};

struct RaftCounts {
  uint64_t crashes = 0, pauses = 0, cuts = 0, halves = 0, bridges = 0, clogs = 0, rates = 0;
  uint64_t proposed = 0, grants = 0, lease_reads = 0, conf_changes = 0, transfers = 0;
  uint64_t restores = 0, fetches = 0, elections = 0, torn = 0;
};

class RaftGroup {
 public:
  explicit RaftGroup(const RaftOptions& options);

  // Until virtual time `end` or the first problem.
  void RunUntil(Time end);
  const std::string& problem() const { return problem_; }

  // Inputs. Nothing happens on a member that is down.
  void Propose(raft::NodeId node, std::vector<std::string> commands);
  void ProposeConfChange(raft::NodeId node, const raft::ConfChange& change);
  void Read(raft::NodeId node);
  void LeaseRead(raft::NodeId node);
  void Transfer(raft::NodeId node, raft::NodeId to);
  // A member that knows only how the group began.
  void Start(raft::NodeId node);

  // Faults.
  void Crash(raft::NodeId node);
  void Restart(raft::NodeId node);
  void Pause(raft::NodeId node, Time time);
  void SetClockRate(raft::NodeId node, double rate);
  // Links whole, every member up and awake, nothing lost any more.
  void Heal();

  std::map<raft::NodeId, RaftMember>& members() { return members_; }
  RaftMember& At(raft::NodeId node) { return members_.at(node); }
  // The leader of the highest term, if any is up.
  RaftMember* Leader();
  EventQueue& events() { return events_; }
  SimNetwork& network() { return network_; }
  RaftCounts& counts() { return counts_; }
  const RaftChecker& checker() const { return checker_; }
  // Of all that happened: equal for equal seeds.
  uint64_t trace_hash() const { return trace_hash_; }

 private:
  using Step = absl::AnyInvocable<void(RaftMember&)>;
  // `step` runs after `delay` if the member still lives the same life; a pause puts it off.
  void Later(RaftMember& member, Time delay, Step step);
  void Release(RaftMember& member);
  Time Draw(Time mean);
  void Fail(const std::string& problem);
  // After every input: invariants, and an output will be taken.
  void Touched(RaftMember& member);

  void Boot(RaftMember& member);
  void Tick(RaftMember& member);
  void Take(RaftMember& member);
  void Send(RaftMember& member, const raft::Envelope& envelope);
  void Deliver(const raft::Envelope& envelope);
  void SyncSome(RaftMember& member);
  void ApplySome(RaftMember& member);
  void ApplyOne(RaftMember& member, const raft::Entry& entry);
  void Restore(RaftMember& member, const raft::SnapshotMeta& meta);
  void SendSnapshot(RaftMember& member, const raft::SnapshotOrder& order);
  void Fetched(RaftMember& member, const raft::Fetch& fetch);
  void FlushAndCut(RaftMember& member);
  bool MayRetire(const RaftMember& member) const;
  void Grant(RaftMember& member, const raft::ReadGrant& grant);
  void NoteRounds(RaftMember& member, const raft::Output& output);

  const RaftOptions options_;
  Random random_;
  EventQueue events_;
  RaftChecker checker_;
  SimNetwork network_;
  raft::ConfState first_conf_;
  std::map<raft::NodeId, RaftMember> members_;
  RaftCounts counts_;
  std::string problem_;
  uint64_t trace_hash_ = 0;
};

}  // namespace store::sim
