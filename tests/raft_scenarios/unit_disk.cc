// SPDX-License-Identifier: Apache-2.0
#include "tests/raft_scenarios/unit_disk.h"

#include "store/base/check.h"

#include <algorithm>

namespace store::raft {

void UnitDisk::Store(const PersistUnit& unit) {
  if (unit.hard_state) hard_state = *unit.hard_state;
  if (unit.reset_to) {
    entries.clear();
    truncated = unit.reset_to->index;
    truncated_term = unit.reset_to->term;
  }
  if (unit.truncate_from) {
    std::erase_if(entries, [&](const EntryPtr& e) { return e->index >= *unit.truncate_from; });
  }
  for (const EntryPtr& entry : unit.entries) {
    Index expected = entries.empty() ? truncated + 1 : entries.back()->index + 1;
    CHECK(entry->index == expected, "unit {} writes {} at {}", unit.id, entry->index, expected);
    entries.push_back(entry);
  }
}

PersistUnit UnitDisk::SyncOne() {
  PersistUnit unit = std::move(written_.front());
  written_.pop_front();
  Store(unit);
  return unit;
}

void UnitDisk::Crash(size_t whole, int torn) {
  for (size_t i = 0; i < whole && !written_.empty(); ++i) SyncOne();
  if (torn >= 0 && !written_.empty()) {
    PersistUnit unit = std::move(written_.front());
    bool replaces = unit.reset_to || unit.truncate_from;
    // As the log writes it: the commit index of a unit that replaces entries stands between the
    // mark that takes the old ones back and the first new one.
    if (replaces && unit.hard_state && torn == 0) unit.hard_state->commit = hard_state.commit;
    unit.entries.resize(std::min(unit.entries.size(), static_cast<size_t>(torn)));
    Store(unit);
  }
  written_.clear();
}

void UnitDisk::TruncatePrefix(Index through) {
  const EntryPtr* last = Find(through);
  CHECK(last != nullptr);
  truncated_term = (*last)->term;
  truncated = through;
  std::erase_if(entries, [&](const EntryPtr& e) { return e->index <= through; });
}

const EntryPtr* UnitDisk::Find(Index index) const {
  if (index <= truncated || index > truncated + entries.size()) return nullptr;
  return &entries[static_cast<size_t>(index - truncated) - 1];
}

Restart UnitDisk::Load(Index applied, ConfState conf) const {
  Restart restart{.hard_state = hard_state,
                  .conf = std::move(conf),
                  .applied = applied,
                  .truncated = truncated,
                  .truncated_term = truncated_term,
                  .runs = {},
                  .tail = entries};
  for (const EntryPtr& entry : entries) {
    if (restart.runs.empty() || restart.runs.back().term != entry->term) {
      restart.runs.push_back({entry->index, entry->term});
    }
  }
  return restart;
}

}  // namespace store::raft
