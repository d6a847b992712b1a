// SPDX-License-Identifier: Apache-2.0
#include "store/lease/lease_clock.h"

#include <algorithm>
#include <chrono>

namespace store::lease {
namespace {

// TTLs go up to 9e9 s, whose nanoseconds just fit 63 bits; a deadline beyond the clock's range is
// capped.
TimePoint After(TimePoint start, int64_t seconds) {
  auto most = std::chrono::duration_cast<std::chrono::seconds>(TimePoint::max() - start);
  return start + std::min(std::chrono::seconds(seconds), most);
}

// Sorted deadlines, moved back so far that no second has more than `per_second`: revokes of those
// that begin together would fall behind, with room for leases that are granted later.
void Spread(std::vector<std::pair<TimePoint, LeaseId>>& deadlines, size_t per_second) {
  per_second = std::max<size_t>(per_second, 1);
  for (size_t i = per_second; i < deadlines.size(); ++i) {
    deadlines[i].first = std::max(deadlines[i].first, After(deadlines[i - per_second].first, 1));
  }
}

}  // namespace

void LeaseClock::Schedule(LeaseId id, Row& row, TimePoint now, TimePoint expires) {
  order_.erase({row.queued, id});
  row.expires = expires;
  row.queued = expires;
  order_.insert({row.queued, id});
  ScheduleCheckpoint(id, row, now);
}

void LeaseClock::ScheduleCheckpoint(LeaseId id, Row& row, TimePoint now) {
  checkpoints_.erase({row.checkpoint_at, id});
  bool wanted = checkpoint_interval_ > Duration(0) && row.expires - now > checkpoint_interval_;
  if (!wanted) return;
  row.checkpoint_at = now + checkpoint_interval_;
  checkpoints_.insert({row.checkpoint_at, id});
}

void LeaseClock::Granted(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds,
                         TimePoint now) {
  Row& row = rows_[id];
  row.ttl_seconds = ttl_seconds;
  row.remaining_seconds = remaining_seconds;
  if (primary_) Schedule(id, row, now, After(now, ttl_seconds));
}

void LeaseClock::Revoked(LeaseId id) {
  auto found = rows_.find(id);
  if (found == rows_.end()) return;
  order_.erase({found->second.queued, id});
  checkpoints_.erase({found->second.checkpoint_at, id});
  rows_.erase(found);
}

void LeaseClock::Checkpointed(LeaseId id, int64_t remaining_seconds) {
  auto found = rows_.find(id);
  if (found == rows_.end()) return;
  Row& row = found->second;
  row.remaining_seconds = remaining_seconds;
  (remaining_seconds > 0 ? row.checkpointing : row.clearing) = false;
}

void LeaseClock::Clear() {
  rows_.clear();
  order_.clear();
  checkpoints_.clear();
}

void LeaseClock::Promote(TimePoint now, Duration extend, size_t revokes_per_second) {
  primary_ = true;
  order_.clear();
  checkpoints_.clear();
  std::vector<std::pair<TimePoint, LeaseId>> deadlines;
  deadlines.reserve(rows_.size());
  for (auto& [id, row] : rows_) {
    int64_t left = row.remaining_seconds > 0 ? row.remaining_seconds : row.ttl_seconds;
    // What an earlier term of this member proposed is applied by now, or lost.
    row.checkpointing = row.clearing = false;
    deadlines.emplace_back(After(now + extend, left), id);
  }
  std::sort(deadlines.begin(), deadlines.end());
  if (deadlines.size() > revokes_per_second) Spread(deadlines, revokes_per_second * 3 / 4);
  for (const auto& [expires, id] : deadlines) Schedule(id, rows_.at(id), now, expires);
}

void LeaseClock::Demote() {
  primary_ = false;
  order_.clear();
  checkpoints_.clear();
}

bool LeaseClock::IsEnding(LeaseId id, TimePoint arrived) const {
  auto found = rows_.find(id);
  if (found == rows_.end() || !primary_) return false;
  const Row& row = found->second;
  // Or it came in time but is judged late, behind a slow read round: the revoke is in the log.
  return row.expires <= arrived || row.queued != row.expires;
}

std::optional<int64_t> LeaseClock::Renew(LeaseId id, TimePoint arrived) {
  auto found = rows_.find(id);
  if (found == rows_.end() || !primary_ || IsEnding(id, arrived)) return std::nullopt;
  Row& row = found->second;
  Schedule(id, row, arrived, std::max(row.expires, After(arrived, row.ttl_seconds)));
  return row.ttl_seconds;
}

std::optional<LeaseClock::Remaining> LeaseClock::TimeToLive(LeaseId id, TimePoint now) const {
  auto found = rows_.find(id);
  if (found == rows_.end()) return std::nullopt;
  Remaining remaining{0, found->second.ttl_seconds};
  if (primary_ && found->second.expires > now) {
    remaining.ttl_seconds =
        std::chrono::duration_cast<std::chrono::seconds>(found->second.expires - now).count();
  }
  return remaining;
}

std::vector<LeaseId> LeaseClock::List() const {
  std::vector<LeaseId> ids;
  ids.reserve(rows_.size());
  if (primary_) {
    for (const auto& [when, id] : order_) ids.push_back(id);
    return ids;
  }
  for (const auto& [id, row] : rows_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<LeaseId> LeaseClock::TakeExpired(TimePoint now, size_t max, Duration retry) {
  std::vector<LeaseId> expired;
  while (expired.size() < max && !order_.empty() && order_.begin()->first <= now) {
    LeaseId id = order_.begin()->second;
    order_.erase(order_.begin());
    Row& row = rows_.at(id);
    row.queued = now + retry;
    order_.insert({row.queued, id});
    expired.push_back(id);
  }
  return expired;
}

std::vector<LeaseClock::Checkpoint> LeaseClock::TakeCheckpoints(TimePoint now, size_t max) {
  std::vector<Checkpoint> due;
  while (due.size() < max && !checkpoints_.empty() && checkpoints_.begin()->first <= now) {
    LeaseId id = checkpoints_.begin()->second;
    Row& row = rows_.at(id);
    ScheduleCheckpoint(id, row, now);
    bool ends = row.queued != row.expires || row.expires <= now;
    // Rounded up: a lease may live longer than its TTL, never shorter.
    int64_t left = std::chrono::ceil<std::chrono::seconds>(row.expires - now).count();
    if (ends) {
      checkpoints_.erase({row.checkpoint_at, id});
    } else if (!row.clearing && left < row.ttl_seconds) {
      due.push_back({id, left});
    }
  }
  return due;
}

void LeaseClock::CheckpointProposed(const Checkpoint& checkpoint) {
  auto found = rows_.find(checkpoint.id);
  if (found == rows_.end()) return;
  Row& row = found->second;
  (checkpoint.remaining_seconds > 0 ? row.checkpointing : row.clearing) = true;
}

bool LeaseClock::HasCheckpoint(LeaseId id) const {
  auto found = rows_.find(id);
  return found != rows_.end() &&
         (found->second.remaining_seconds > 0 || found->second.checkpointing);
}

bool LeaseClock::NeedsClear(LeaseId id) const {
  return HasCheckpoint(id) && !rows_.at(id).clearing;
}

std::optional<TimePoint> LeaseClock::NextDeadline() const {
  if (order_.empty()) return std::nullopt;
  return order_.begin()->first;
}

}  // namespace store::lease
