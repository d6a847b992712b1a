// SPDX-License-Identifier: Apache-2.0
// What must hold of every member at every moment (basic), between two moments of one life (delta),
// and over a whole group (GroupHistory). Each check returns the first broken rule as a sentence
// with its numbers, or an empty string. Used by every test of the core, by the scenarios and by the
// simulator; not called in production. Pure, except GroupHistory, which grows with the group's log
// and belongs to one thread.
#pragma once

#include "store/raft/config.h"
#include "store/raft/status.h"
#include "store/raft/types.h"

#include <map>
#include <string>

namespace store::raft {

std::string BasicProblem(const Config& config, const Status& status);

// `after` is a later status of the same life, without a restart in between.
std::string DeltaProblem(const Status& before, const Status& after);

class GroupHistory {
 public:
  // One leader per term.
  std::string Observe(const Status& status);
  // No two members apply different entries at an index.
  std::string ObserveApplied(NodeId node, const Entry& entry);

 private:
  std::map<Term, NodeId> leaders_;
  std::map<Index, Entry> applied_;
};

}  // namespace store::raft
