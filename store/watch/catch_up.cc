// SPDX-License-Identifier: Apache-2.0
#include "store/watch/catch_up.h"

#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace store::watch {

std::optional<Revision> CatchUp::PickStart(const WatchGroups& groups, Revision current) {
  near_turn_ = !near_turn_;
  const auto window = static_cast<int64_t>(limits_.slice_revisions_max);
  if (near_turn_) {
    if (auto near = groups.LowestLagging(current - (window - 1))) return near;
  }
  return groups.LowestLagging();
}

Revision CatchUp::Read(Revision first, Revision current, FanOut* out) const {
  const auto window = static_cast<int64_t>(limits_.slice_revisions_max);
  const Revision last = std::min(current, first + (window - 1));
  const Revision timed = first + static_cast<int64_t>(limits_.slice_revisions_min);
  const TimePoint deadline = clock_.Now() + limits_.slice_time_max;
  mvcc::RevisionScan scan = store_.Scan(first, last);
  Revision reading = first;
  size_t bytes = 0;
  bool read_any = false;
  for (; scan.Valid(); scan.Next()) {
    const Revision revision = scan.id().main;
    // Only between revisions may a slice end: a watcher gets a revision whole.
    if (revision != reading && read_any &&
        (bytes >= limits_.slice_bytes_max || (revision >= timed && clock_.Now() >= deadline))) {
      return revision - 1;
    }
    reading = revision;
    bytes += AddRecord(scan, out);
    read_any = true;
  }
  CHECK(scan.status(), "watch catch-up from revision {}: {}", first,
        scan.status().error().ToString());
  return last;
}

size_t CatchUp::AddRecord(const mvcc::RevisionScan& scan, FanOut* out) const {
  if (!out->Wanted(scan.header().key, scan.type())) return 0;
  auto event = scan.Load();
  if (event) return out->AddOwned(std::move(*event));
  // The value went while we read: whoever wanted it is below the compacted revision now, and is
  // canceled; or it is there, and its own revision had taken the value back.
  CHECK(event.error().code() == ErrorCode::kCompacted && scan.id().main <= store_.compacted(),
        "watch catch-up at revision {}: {}", scan.id().main, event.error().ToString());
  return 0;
}

}  // namespace store::watch
