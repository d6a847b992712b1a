// SPDX-License-Identifier: Apache-2.0
// UnitDisk: a member's log on disk as the core sees it. Units are written in order; the synced ones
// survive a crash, of the others a prefix the caller chooses, the last of which may be torn between
// its records. Single-threaded; grows with the log until TruncatePrefix.
#pragma once

#include "store/raft/config.h"
#include "store/raft/output.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace store::raft {

class UnitDisk {
 public:
  void Write(PersistUnit unit) { written_.push_back(std::move(unit)); }
  // Makes the next unit durable and returns it.
  PersistUnit SyncOne();
  size_t unsynced() const { return written_.size(); }
  uint64_t NextUnit() const { return written_.front().id; }
  // The machine stops: the first `whole` unsynced units are on disk after all, of the next one its
  // hard state, its truncation and its first `torn` entries if `torn` is not negative, the rest is
  // gone.
  void Crash(size_t whole = 0, int torn = -1);
  // Entries <= through are gone.
  void TruncatePrefix(Index through);
  const EntryPtr* Find(Index index) const;
  // What a member restarts from, given what its state machine kept.
  Restart Load(Index applied, ConfState conf) const;

  HardState hard_state;
  Index truncated;
  Term truncated_term;
  std::vector<EntryPtr> entries;  // (truncated, last]

 private:
  void Store(const PersistUnit& unit);

  std::deque<PersistUnit> written_;
};

}  // namespace store::raft
