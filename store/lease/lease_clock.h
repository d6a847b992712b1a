// SPDX-License-Identifier: Apache-2.0
// LeaseClock: the local half of leases: when each one expires, as the leader sees it. Deadlines are
// monotonic time and never replicated; a new leader starts them anew (Promote), so a lease may live
// longer than its TTL but never shorter. A follower keeps the same leases without deadlines. One
// owner: the replica thread. Memory: one row per replicated lease.
//
// Checkpoints, if they are wanted: every interval the leader tells the log what is left of each
// lease that has more than an interval, so that the next leader does not give the full TTL again. A
// lease that is renewed must not keep an older checkpoint, or the next leader would end it early:
// whoever renews clears it first, through the log too (HasCheckpoint, NeedsClear).
#pragma once

#include "store/base/clock.h"
#include "store/base/ids.h"

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace store::lease {

class LeaseClock {
 public:
  // 0: no checkpoints are made here; those that others have made are honoured all the same.
  explicit LeaseClock(Duration checkpoint_interval = Duration(0))
      : checkpoint_interval_(checkpoint_interval) {}

  // What replicated apply said. `remaining_seconds` is the last checkpoint, 0: none.
  void Granted(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds, TimePoint now);
  void Revoked(LeaseId id);
  // 0: the checkpoint is cleared.
  void Checkpointed(LeaseId id, int64_t remaining_seconds);
  void Clear();  // another state takes the place of this one

  // This member leads from now on: each deadline is now + extend + (checkpointed remaining or full
  // TTL), or later: with more leases than can be revoked in a second the deadlines are spread.
  void Promote(TimePoint now, Duration extend, size_t revokes_per_second);
  // No longer leader: nothing expires here.
  void Demote();
  bool primary() const { return primary_; }

  // Granted TTL in seconds, with the deadline moved to arrived + TTL; nullopt: unknown or ending.
  std::optional<int64_t> Renew(LeaseId id, TimePoint arrived);
  // Expired at `arrived`, or since, with its revoke on the way: that cannot be taken back any more.
  bool IsEnding(LeaseId id, TimePoint arrived) const;

  struct Remaining {
    int64_t ttl_seconds = 0;  // floor of what is left, 0 when overdue
    int64_t granted_seconds = 0;
  };
  std::optional<Remaining> TimeToLive(LeaseId id, TimePoint now) const;
  // By remaining time ascending; on a follower by id.
  std::vector<LeaseId> List() const;

  // Up to `max` leases past their deadline. Each is returned once per `retry`: a revoke whose
  // proposal was lost is offered again, one that is under way is not.
  std::vector<LeaseId> TakeExpired(TimePoint now, size_t max, Duration retry);

  struct Checkpoint {
    LeaseId id;
    int64_t remaining_seconds = 0;
    friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
  };
  // Up to `max` that are due, to be proposed; the next one of each is due an interval later.
  std::vector<Checkpoint> TakeCheckpoints(TimePoint now, size_t max);
  // It is in the log on its way (0: the clearing of one).
  void CheckpointProposed(const Checkpoint& checkpoint);
  // It has one, or one is on its way.
  bool HasCheckpoint(LeaseId id) const;
  // And the clearing is not on its way.
  bool NeedsClear(LeaseId id) const;

  // When the next one expires.
  std::optional<TimePoint> NextDeadline() const;
  size_t size() const { return rows_.size(); }

 private:
  struct Row {
    int64_t ttl_seconds = 0;
    int64_t remaining_seconds = 0;
    TimePoint expires;           // valid while primary
    TimePoint queued;            // key in order_: expires, or later while a revoke is under way
    TimePoint checkpoint_at;     // key in checkpoints_, if it is there
    bool checkpointing = false;  // proposed, not applied
    bool clearing = false;
  };
  void Schedule(LeaseId id, Row& row, TimePoint now, TimePoint expires);
  void ScheduleCheckpoint(LeaseId id, Row& row, TimePoint now);

  const Duration checkpoint_interval_;

  absl::flat_hash_map<LeaseId, Row> rows_;
  absl::btree_set<std::pair<TimePoint, LeaseId>> order_;  // of (queued, id); empty unless primary
  absl::btree_set<std::pair<TimePoint, LeaseId>> checkpoints_;  // of (checkpoint_at, id)
  bool primary_ = false;
};

}  // namespace store::lease
