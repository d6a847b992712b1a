// SPDX-License-Identifier: Apache-2.0
// DiskGuard: whether this member's disk has room for writes (architecture 3.2, 4.4). Admission
// closes before the disk is full, because what is on its way then still needs room: the log's next
// segments, the flush of what only memory and log hold, a compaction, which holds old and new files
// until it ends, and a restart. It opens again by itself a little above the mark, so that it does
// not flap. Between two looks a DiskAllowance counts what is admitted. Local to the member: no
// alarm is raised, deletes and compactions go on while there is any room at all.
//
// Look by one thread (maintenance); the outcome is read by any thread from RaftGauges::disk_room.
#pragma once

#include "store/base/error.h"
#include "store/base/log.h"
#include "store/replica/disk_allowance.h"
#include "store/replica/gauges.h"

#include <cstdint>
#include <string>

namespace store::replica {

struct DiskGuardLimits {
  uint64_t reserve_bytes_max = 1 << 30;
  uint64_t reserve_percent = 5;  // of the disk, if that is less
  uint64_t segment_bytes = 64 << 20;
  uint64_t compaction_bytes_max = 1600ULL << 20;  // 25 files of 64 MiB: RocksDB's bound of one
};

class DiskGuard {
 public:
  struct Signals {
    bool log_waits = false;    // the next segment does not fit
    bool state_waits = false;  // the engine refuses writes, or cannot flush
    uint64_t unflushed_bytes = 0;
    uint64_t state_bytes = 0;  // files of the engine
    // Of the allowance, from before what follows was asked.
    int64_t taken_bytes = 0;
    int64_t refused_bytes = 0;    // of a call since the last look
    uint64_t admitted_bytes = 0;  // of calls that may not be in the log yet
  };

  DiskGuard(const DiskGuardLimits& limits, std::string directory, RaftGauges& gauges,
            DiskAllowance& allowance, Logger log);

  // Asks the file system, sets the gauge and grants what may be admitted until the next look.
  DiskRoom Look(const Signals& signals);

  // Pure: what to say of `available` bytes on a disk of `total`, if `before` was said last.
  static DiskRoom Judge(const DiskGuardLimits& limits, uint64_t total, uint64_t available,
                        const Signals& signals, DiskRoom before);
  // Pure: the bytes that may be admitted then. Negative: more than there is room for is under way.
  static int64_t Allowed(const DiskGuardLimits& limits, uint64_t total, uint64_t available,
                         const Signals& signals);

 private:
  const DiskGuardLimits limits_;
  const std::string directory_;
  RaftGauges& gauges_;
  DiskAllowance& allowance_;
  Logger log_;
};

}  // namespace store::replica
