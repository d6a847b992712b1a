// SPDX-License-Identifier: Apache-2.0
// CatchUp: reads history for watchers that lag, one slice at a time: at most slice_revisions_max
// revisions, slice_bytes_max bytes or, from slice_revisions_min revisions on, slice_time_max, but
// always at least one revision and always whole ones. All laggards whose next revision lies in the
// slice share it; values are read only for keys they watch.
//
// Slices take turns: one starts at the laggard nearest to the present, so that a short lag is over
// at once, the next at the one furthest behind. Owner thread only; holds nothing between slices.
#pragma once

#include "store/base/clock.h"
#include "store/base/ids.h"
#include "store/mvcc/mvcc_store.h"
#include "store/watch/fan_out.h"
#include "store/watch/watch_groups.h"
#include "store/watch/watch_hub.h"

#include <optional>

namespace store::watch {

class CatchUp {
 public:
  CatchUp(const WatchLimits& limits, const mvcc::MvccStore& store, const Clock& clock)
      : limits_(limits), store_(store), clock_(clock) {}

  // First revision of the next slice; nullopt: nobody lags.
  std::optional<Revision> PickStart(const WatchGroups& groups, Revision current);
  // Adds the events of revisions from `first`, at most to `current`; returns the last revision that
  // was read wholly. What compaction removed is not there: the caller looks at compacted()
  // afterwards.
  Revision Read(Revision first, Revision current, FanOut* out) const;

 private:
  // Returns the bytes the record takes in the slice.
  size_t AddRecord(const mvcc::RevisionScan& scan, FanOut* out) const;

  const WatchLimits& limits_;
  const mvcc::MvccStore& store_;
  const Clock& clock_;
  bool near_turn_ = false;
};

}  // namespace store::watch
