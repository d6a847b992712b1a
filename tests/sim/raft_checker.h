// SPDX-License-Identifier: Apache-2.0
// RaftChecker: what must hold of a whole raft group after every event, whatever was lost, torn or
// late (store/raft/invariants.h has what concerns one member). Each call returns the first broken
// rule as a sentence with its numbers, or an empty string. It sees more than any member does: every
// disk, and every commit there ever was. One thread; grows with the length of the run.
#pragma once

#include "store/raft/invariants.h"
#include "store/raft/raft.h"
#include "tests/raft_scenarios/unit_disk.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace store::sim {

// What a state machine is at an index: two members there must be equal.
struct StateAt {
  uint64_t digest = 0;
  raft::ConfState conf;
};

class RaftChecker {
 public:
  // True if the member has (index, term) on disk, synced, or a durable state at or behind it.
  using HoldsDurably = absl::AnyInvocable<bool(raft::NodeId, raft::Index, raft::Term) const>;

  explicit RaftChecker(HoldsDurably holds) : holds_(std::move(holds)) {}

  // A group whose log begins behind `index`, in that state.
  void Begin(raft::Index index, raft::Term term, const raft::ConfState& conf) {
    committed_[index] = {term, term};
    states_[index] = {0, conf};
  }
  // The next input of a member: the time it goes by, or a message; `before`: its status until then.
  void Ticks(raft::NodeId node);
  void Arrives(const raft::Config& config, const raft::Status& before,
               const raft::Envelope& envelope);
  // After every input of a member; `before` is its status after the former one and is replaced.
  std::string Observe(const raft::Config& config, const raft::Raft& raft, raft::Status* before);
  // A unit leaves for the member's disk: same index and term, same entry and same predecessor.
  std::string ObserveUnit(const raft::PersistUnit& unit, const raft::Raft& raft);
  // An entry was applied and led to `state`.
  std::string ObserveApplied(raft::NodeId node, const raft::Entry& entry, const StateAt& state);
  // A message leaves: nothing it promises or presumes may still be forgotten.
  std::string ObserveSent(const raft::Envelope& envelope, const raft::UnitDisk& disk);

  // The highest index that a client may have been told of.
  raft::Index told() const { return told_; }
  raft::Index committed() const {
    return committed_.empty() ? raft::Index() : committed_.rbegin()->first;
  }
  const StateAt& StateOf(raft::Index index) const { return states_.at(index); }

 private:
  struct Committed {
    raft::Term term;     // of the entry
    raft::Term seen_in;  // term of the leader that committed it
  };
  struct Known {
    uint64_t hash = 0;
    raft::Term before;  // of the entry before it
    bool conf_change = false;
    size_t bytes_through = 0;  // of all entries up to it

    bool operator==(const Known&) const = default;
  };
  // Whom a member has heard, in its own ticks: more generous than the core, never less.
  struct Contact {
    uint64_t ticks = 0;
    bool ticked = false;        // by the present input
    std::string_view harmless;  // what the present input is, if it must not raise the term
    uint64_t leader_heard = 0;
    std::map<raft::NodeId, uint64_t> heard;
    // Since when it leads that term with those members.
    raft::Term led;
    raft::ConfState led_conf;
    uint64_t led_since = 0;
  };
  std::string ObserveContact(const raft::Config& config, const raft::Status& before,
                             const raft::Status& status);
  std::string ObserveMemory(const raft::Config& config, const raft::Status& before,
                            const raft::Status& status, const raft::Raft& raft) const;
  std::string ObserveConfChange(const raft::Entry& entry, const raft::Raft& raft) const;
  size_t BytesThrough(raft::Index index, raft::Term term) const;
  std::string ObserveLeader(const raft::Status& status, const raft::Raft& raft);
  std::string ObserveCommit(const raft::Status& status, const raft::Raft& raft);
  std::string CheckQuorum(const raft::Status& status, raft::Index index, raft::Term term) const;

  HoldsDurably holds_;
  raft::GroupHistory history_;
  std::map<raft::Term, raft::NodeId> leaders_;
  std::map<raft::Index, Committed> committed_;
  std::map<raft::Index, StateAt> states_;
  std::map<std::pair<raft::Index, raft::Term>, Known> entries_;
  std::map<raft::NodeId, Contact> contacts_;
  std::map<std::pair<raft::Term, raft::NodeId>, raft::NodeId> votes_;
  raft::Index told_;
};

// Of what the state machine of the simulator is: everything applied, in order.
uint64_t DigestAfter(uint64_t digest, const raft::Entry& entry);

}  // namespace store::sim
