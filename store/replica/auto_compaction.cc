// SPDX-License-Identifier: Apache-2.0
#include "store/replica/auto_compaction.h"

#include "store/apply/command.h"

#include <algorithm>

namespace store::replica {

AutoCompaction::AutoCompaction(const AutoCompactionOptions& options) : options_(options) {}

void AutoCompaction::OnRole(bool leads) {
  if (leads == leads_) return;
  leads_ = leads;
  samples_.clear();
  next_sample_ = next_compaction_ = {};
}

void AutoCompaction::OnTick(TimePoint now, raft::Raft& raft) {
  if (!leads_) return;
  if (options_.period > Duration::zero()) TickPeriodic(now, raft);
  if (options_.revisions > 0) TickRevision(now, raft);
}

void AutoCompaction::TickPeriodic(TimePoint now, raft::Raft& raft) {
  Duration interval = std::min<Duration>(options_.period, std::chrono::hours(1));
  if (now < next_sample_) return;
  next_sample_ = now + interval / 10;
  samples_.push_back({now, current_});
  if (next_compaction_ == TimePoint{}) next_compaction_ = now + options_.period;
  // The newest sample that is at least one period old.
  Revision target;
  while (!samples_.empty() && samples_.front().when + options_.period <= now) {
    target = samples_.front().revision;
    samples_.pop_front();
  }
  if (target == Revision()) return;
  samples_.push_front(
      {now - options_.period, target});  // still the answer until a newer one is due
  if (now < next_compaction_) return;
  next_compaction_ = now + interval;
  Compact(target, raft);
}

void AutoCompaction::TickRevision(TimePoint now, raft::Raft& raft) {
  if (next_compaction_ == TimePoint{}) next_compaction_ = now + options_.revision_interval;
  if (now < next_compaction_) return;
  next_compaction_ = now + options_.revision_interval;
  if (current_.value() > options_.revisions) Compact(current_ - options_.revisions, raft);
}

// A compaction at or below an earlier one would only be refused at apply.
void AutoCompaction::Compact(Revision at, raft::Raft& raft) {
  if (at <= last_compacted_) return;
  sluice::store::Command command;
  command.mutable_compaction()->set_revision(at.value());
  // Refused proposals are not kept: the next interval compacts further.
  if (raft.Propose({apply::EncodeCommand({}, command)}) == raft::ProposeResult::kAppended) {
    last_compacted_ = at;
  }
}

}  // namespace store::replica
