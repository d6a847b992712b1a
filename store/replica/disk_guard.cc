// SPDX-License-Identifier: Apache-2.0
#include "store/replica/disk_guard.h"

#include "store/base/failpoint.h"
#include "store/base/file.h"

#include <algorithm>
#include <utility>

namespace store::replica {
namespace {

// Never less than two segments: the next one, and the one a restart begins with.
constexpr uint64_t kSegmentsMin = 2;
// What is admitted is written to the log, to a file of the state, and again when that is compacted.
constexpr uint64_t kCopies = 3;

uint64_t Reserve(const DiskGuardLimits& limits, uint64_t total) {
  return std::max(std::min(limits.reserve_bytes_max, total / 100 * limits.reserve_percent),
                  kSegmentsMin * limits.segment_bytes);
}

// Above what closes: room for calls, or the first one would close again.
uint64_t Margin(const DiskGuardLimits& limits, uint64_t total) {
  return std::max(Reserve(limits, total) / 4, kCopies * limits.segment_bytes);
}

uint64_t Needed(const DiskGuardLimits& limits, uint64_t total, const DiskGuard::Signals& signals) {
  return Reserve(limits, total) + signals.unflushed_bytes +
         std::min(signals.state_bytes, limits.compaction_bytes_max);
}

}  // namespace

DiskGuard::DiskGuard(const DiskGuardLimits& limits, std::string directory, RaftGauges& gauges,
                     DiskAllowance& allowance, Logger log)
    : limits_(limits),
      directory_(std::move(directory)),
      gauges_(gauges),
      allowance_(allowance),
      log_(std::move(log)) {}

DiskRoom DiskGuard::Judge(const DiskGuardLimits& limits, uint64_t total, uint64_t available,
                          const Signals& signals, DiskRoom before) {
  if (signals.log_waits || signals.state_waits) return DiskRoom::kNone;
  uint64_t needed = Needed(limits, total, signals);
  if (before != DiskRoom::kEnough) needed += Margin(limits, total);
  // What was refused may have been so for an old look.
  const bool refused = signals.refused_bytes > 0 &&
                       signals.refused_bytes > Allowed(limits, total, available, signals);
  return refused || available < needed ? DiskRoom::kLow : DiskRoom::kEnough;
}

int64_t DiskGuard::Allowed(const DiskGuardLimits& limits, uint64_t total, uint64_t available,
                           const Signals& signals) {
  const int64_t spare =
      static_cast<int64_t>(available) - static_cast<int64_t>(Needed(limits, total, signals));
  return spare / static_cast<int64_t>(kCopies) - static_cast<int64_t>(signals.admitted_bytes);
}

DiskRoom DiskGuard::Look(const Signals& signals) {
  const DiskRoom before = gauges_.disk_room.load(std::memory_order_relaxed);
  auto space = GetDiskSpace(directory_);
  // Whoever writes will say what is wrong with the disk.
  if (!space) return before;
  DiskRoom now = Judge(limits_, space->total_bytes, space->available_bytes, signals, before);
  if (FAILPOINT_BRANCH("disk-low")) now = DiskRoom::kLow;
  allowance_.Grant(signals.taken_bytes,
                   Allowed(limits_, space->total_bytes, space->available_bytes, signals));
  gauges_.disk_available_bytes.store(space->available_bytes, std::memory_order_relaxed);
  gauges_.disk_room.store(now, std::memory_order_relaxed);
  if (now == before) return now;
  const Field available{"available-bytes", space->available_bytes};
  const Field directory{"data-dir", directory_};
  if (now == DiskRoom::kEnough) {
    log_.Info("the disk has room again; writes are admitted", {directory, available});
  } else if (now == DiskRoom::kLow) {
    log_.Warn("the disk is nearly full; what needs room is refused", {directory, available});
  } else {
    log_.Error("the disk is full; writes are refused until there is room", {directory, available});
  }
  return now;
}

}  // namespace store::replica
