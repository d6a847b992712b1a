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

}  // namespace

void LeaseClock::Schedule(LeaseId id, Row& row, TimePoint expires) {
  order_.erase({row.queued, id});
  row.expires = expires;
  row.queued = expires;
  order_.insert({row.queued, id});
}

void LeaseClock::Granted(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds,
                         TimePoint now) {
  Row& row = rows_[id];
  row.ttl_seconds = ttl_seconds;
  row.remaining_seconds = remaining_seconds;
  if (primary_) Schedule(id, row, After(now, ttl_seconds));
}

void LeaseClock::Revoked(LeaseId id) {
  auto found = rows_.find(id);
  if (found == rows_.end()) return;
  order_.erase({found->second.queued, id});
  rows_.erase(found);
}

void LeaseClock::Checkpointed(LeaseId id, int64_t remaining_seconds) {
  auto found = rows_.find(id);
  if (found != rows_.end()) found->second.remaining_seconds = remaining_seconds;
}

void LeaseClock::Clear() {
  rows_.clear();
  order_.clear();
}

void LeaseClock::Promote(TimePoint now, Duration extend) {
  primary_ = true;
  order_.clear();
  for (auto& [id, row] : rows_) {
    int64_t left = row.remaining_seconds > 0 ? row.remaining_seconds : row.ttl_seconds;
    row.expires = After(now + extend, left);
    row.queued = row.expires;
    order_.insert({row.queued, id});
  }
}

void LeaseClock::Demote() {
  primary_ = false;
  order_.clear();
}

std::optional<int64_t> LeaseClock::Renew(LeaseId id, TimePoint arrived) {
  auto found = rows_.find(id);
  if (found == rows_.end() || !primary_ || found->second.expires <= arrived) return std::nullopt;
  Row& row = found->second;
  // It came in time but is judged late, behind a slow read round: the revoke is in the log already.
  if (row.queued != row.expires) return std::nullopt;
  row.remaining_seconds = 0;  // a keep-alive clears the checkpoint
  Schedule(id, row, std::max(row.expires, After(arrived, row.ttl_seconds)));
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

std::optional<TimePoint> LeaseClock::NextDeadline() const {
  if (order_.empty()) return std::nullopt;
  return order_.begin()->first;
}

}  // namespace store::lease
