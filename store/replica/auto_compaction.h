// SPDX-License-Identifier: Apache-2.0
// AutoCompaction: proposes compactions on the leader, as etcd's two modes do. Periodic with
// retention R: the revision is noted every min(R, 1 h)/10, and every min(R, 1 h) the key space is
// compacted to the revision of R ago. Revision with retention N: every 5 minutes to current - N.
// Replica thread only, driven by ticks; bounded by R / sample distance samples.
#pragma once

#include "store/base/clock.h"
#include "store/base/ids.h"
#include "store/raft/raft.h"

#include <cstddef>
#include <cstdint>
#include <deque>

namespace store::replica {

struct AutoCompactionOptions {
  Duration period{0};     // 0: off
  int64_t revisions = 0;  // 0: off
  Duration revision_interval = std::chrono::minutes(5);
};

class AutoCompaction {
 public:
  explicit AutoCompaction(const AutoCompactionOptions& options);

  // What apply reported last.
  void OnApplied(Revision current) { current_ = current; }
  // A follower forgets its samples: a new leader starts its retention anew, which keeps more, never
  // less.
  void OnRole(bool leads);
  void OnTick(TimePoint now, raft::Raft& raft);

 private:
  struct Sample {
    TimePoint when;
    Revision revision;
  };
  void TickPeriodic(TimePoint now, raft::Raft& raft);
  void TickRevision(TimePoint now, raft::Raft& raft);
  void Compact(Revision at, raft::Raft& raft);

  const AutoCompactionOptions options_;
  bool leads_ = false;
  Revision current_;
  Revision last_compacted_;
  TimePoint next_sample_{};
  TimePoint next_compaction_{};
  std::deque<Sample> samples_;
};

}  // namespace store::replica
