// SPDX-License-Identifier: Apache-2.0
// Collector: removes from the engine what compaction made unreachable, in batches. It reads headers
// of [finished, target] in order; a header with a previous record removes that record, a tombstone
// below the target removes itself, a tombstone exactly at the target stays until the next
// compaction (etcd #18089, #19179). After the last batch sys/compact/finished = target. A crash
// repeats work harmlessly.
//
// Step runs on the maintenance pool, one at a time, whenever MvccStore::compacted() > collected();
// what it returns in `trim` goes to MvccStore::Trim on the apply thread (between batches; lost
// trims are found again by the next restore). It waits while a held view reads below the target, at
// most 60 s, then cancels it.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/engine/engine.h"
#include "store/mvcc/revision.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace store::mvcc {

class MvccStore;

// Keys whose history below `target` may go from the index.
struct TrimBatch {
  Revision target;
  std::vector<std::string> keys;
};

struct CollectStep {
  enum class State : uint8_t {
    kIdle,      // nothing to collect
    kMore,      // one batch done, call again
    kFinished,  // a target was reached (a newer one may wait already)
    kWaiting,   // a held view reads below the target: call again later
  };
  State state = State::kIdle;
  TrimBatch trim;
  size_t removed = 0;  // records
};

class Collector {
 public:
  explicit Collector(MvccStore& store);

  Result<CollectStep> Step(TimePoint now);
  // Another state takes the place of the one it works on: lets go of that. Not during a Step.
  void Abandon() { run_.reset(); }

 private:
  struct Run {
    std::shared_ptr<engine::Engine> engine;
    Revision target;
    RecordId next;  // where to go on
  };
  bool ViewsAllow(Revision target, TimePoint now);
  Result<CollectStep> CollectBatch();

  MvccStore& store_;
  std::optional<Run> run_;
  std::optional<TimePoint> waiting_since_;
};

}  // namespace store::mvcc
