// SPDX-License-Identifier: Apache-2.0
// Group: members of one raft group in one thread, each with a log on a disk that loses what was not
// synced, a state machine that records what it applied, and a network that holds every message
// until told. Nothing happens by itself: tests say when an output is taken, when a unit is durable,
// when entries are applied and which messages arrive. After each step the invariants of every
// member are checked.
#pragma once

#include "store/raft/invariants.h"
#include "store/raft/raft.h"
#include "tests/raft_scenarios/unit_disk.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace store::raft {

struct Member {
  Config config;
  std::unique_ptr<Raft> raft;  // null while down
  UnitDisk disk;
  ConfState conf;  // of the state machine
  Index applied;   // of the state machine
  Index flushed;   // what of it survives a crash
  ConfState flushed_conf;
  Term installed_term;          // of the state, if it was installed
  bool snapshots_fail = false;  // those it sends are lost on the way
  std::deque<EntryPtr> to_apply;
  std::deque<SnapshotMeta> to_restore;
  Status before;  // for delta checks
};

class Group {
 public:
  void Add(const Config& config, const ConfState& conf);
  // Everything unsynced is lost; the member comes back with what its disk and its flushed state
  // hold.
  void RestartMember(NodeId node);
  Member& At(NodeId node);
  std::map<NodeId, Member>& members() { return members_; }

  // Takes an output and executes it; returns what it was.
  std::string Process(NodeId node);
  // Makes units durable, all or up to `through`, and tells the core; returns what was released.
  std::string Persist(NodeId node, uint64_t through);
  void Apply(NodeId node);
  void Flush(NodeId node);
  // Delivers what waits, in order, optionally to one member only; returns how many.
  size_t Deliver(NodeId to);
  size_t Drop(NodeId from, NodeId to);
  // Until nothing moves. Members in `except` do not take part; their messages wait.
  void Stabilize(const std::vector<NodeId>& except);
  const std::deque<Envelope>& network() const { return network_; }
  // Checks every invariant; throws the test away with the first broken one.
  void Check();

 private:
  void Start(Member* member, raft::Restart restart);
  bool Turn(Member* member);
  void ApplyOne(Member* member, const Entry& entry);

  std::map<NodeId, Member> members_;
  std::deque<Envelope> network_;
  GroupHistory history_;
};

}  // namespace store::raft
