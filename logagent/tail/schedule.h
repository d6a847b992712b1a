// SPDX-License-Identifier: Apache-2.0
// Schedule: which file reads next. Deficit round robin with a quantum in bytes, files that are
// nearly at their end before those with a backlog, so that a live line does not wait behind an old
// gigabyte. Backoff: how long to wait before looking again at a file that no notification covers.
// Both are owned by one shard, its thread only; bounded by the files that are open.
#pragma once

#include "store/base/clock.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <optional>

namespace logagent {

// Any id of the owner's.
using TaskId = uint64_t;

class Schedule {
 public:
  explicit Schedule(uint64_t quantum_bytes) : quantum_(quantum_bytes) {}

  // The file has something to read. Idempotent.
  void Ready(TaskId task);
  void Remove(TaskId task);
  // Takes the next file and what it may read now. It must be given back with Ready when it has
  // more.
  struct Turn {
    TaskId task = 0;
    uint64_t bytes = 0;
  };
  std::optional<Turn> Next();
  // What the turn used; `more` puts the file at the end of the backlog.
  void Done(TaskId task, uint64_t used, bool more);
  bool empty() const { return live_.empty() && backlog_.empty(); }

 private:
  enum class Place : uint8_t { kLive, kBacklog, kRunning };
  struct Slot {
    Place place = Place::kLive;
    uint64_t deficit = 0;
  };

  const uint64_t quantum_;
  absl::flat_hash_map<TaskId, Slot> slots_;
  std::deque<TaskId> live_;  // may hold removed ids; slots_ decides
  std::deque<TaskId> backlog_;
  bool live_turn_ = true;  // alternates, so that neither list starves the other
};

class Backoff {
 public:
  Backoff(store::Duration shortest, store::Duration longest)
      : shortest_(shortest), longest_(longest), next_(shortest) {}
  // The wait from now on; doubles each time until something happened.
  store::Duration Next();
  void Reset() { next_ = shortest_; }

 private:
  store::Duration shortest_;
  store::Duration longest_;
  store::Duration next_;
};

}  // namespace logagent
