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

}  // namespace

DiskGuard::DiskGuard(const DiskGuardLimits& limits, std::string directory, RaftGauges& gauges,
                     Logger log)
    : limits_(limits), directory_(std::move(directory)), gauges_(gauges), log_(std::move(log)) {}

DiskRoom DiskGuard::Judge(const DiskGuardLimits& limits, uint64_t total, uint64_t available,
                          const Signals& signals, DiskRoom before) {
  if (signals.log_waits || signals.state_waits) return DiskRoom::kNone;
  uint64_t reserve =
      std::max(std::min(limits.reserve_bytes_max, total / 100 * limits.reserve_percent),
               kSegmentsMin * limits.segment_bytes);
  uint64_t needed = reserve + signals.unflushed_bytes +
                    std::min(signals.state_bytes, limits.compaction_bytes_max);
  if (before != DiskRoom::kEnough) needed += reserve / 4;
  return available < needed ? DiskRoom::kLow : DiskRoom::kEnough;
}

DiskRoom DiskGuard::Look(const Signals& signals) {
  const DiskRoom before = gauges_.disk_room.load(std::memory_order_relaxed);
  auto space = GetDiskSpace(directory_);
  // Whoever writes will say what is wrong with the disk.
  if (!space) return before;
  DiskRoom now = Judge(limits_, space->total_bytes, space->available_bytes, signals, before);
  if (FAILPOINT_BRANCH("disk-low")) now = DiskRoom::kLow;
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
