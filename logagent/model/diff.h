// SPDX-License-Identifier: Apache-2.0
// Diff: what must be done to come from the running entries to the wanted ones. Pure: it looks at
// nothing but its arguments. Entries are paired by (path, topic) first; what is left over is paired
// by path: that is a changed topic, which inherits the positions of the old one. An entry that is
// the same in both is in no list: it must not notice. Any thread.
#pragma once

#include "logagent/model/model.h"

#include <vector>

namespace logagent {

struct EntryChange {
  EntryConfig from;
  EntryConfig to;
  bool topic_changed() const { return from.topic != to.topic; }
  friend bool operator==(const EntryChange&, const EntryChange&) = default;
};

// Each list is in the order of the wanted list (`stop`: of the running one).
struct ConfigDiff {
  std::vector<EntryConfig> start;
  std::vector<EntryConfig> stop;
  std::vector<EntryChange> change;

  bool empty() const { return start.empty() && stop.empty() && change.empty(); }
};

// Both lists are valid (ValidateEntries), so no (path, topic) pair occurs twice in one.
ConfigDiff Diff(const std::vector<EntryConfig>& running, const std::vector<EntryConfig>& wanted);

}  // namespace logagent
