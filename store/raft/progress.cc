// SPDX-License-Identifier: Apache-2.0
#include "store/raft/progress.h"

#include "store/base/check.h"

#include <algorithm>

namespace store::raft {

bool Progress::Paused() const {
  if (fetching_) return true;
  switch (state_) {
    case ProgressState::kProbe:
      return probe_sent_;
    case ProgressState::kReplicate:
      return inflights_.Full();
    case ProgressState::kSnapshot:
      return true;
  }
  return true;
}

void Progress::OnSent(size_t count, size_t bytes, Index commit) {
  CHECK(!Paused());
  commit_sent_ = std::max(commit_sent_, std::min(commit, next_ - 1 + count));
  if (state_ == ProgressState::kProbe) {
    probe_sent_ = true;
    return;
  }
  if (count == 0) return;
  next_ = next_ + count;
  inflights_.Add(next_ - 1, bytes);
}

bool Progress::OnMatched(Index index) {
  if (index <= match_) {
    // A repeated answer; in probe it still proves the guess, e.g. after a leader change.
    if (state_ == ProgressState::kProbe && index == match_ && next_ == match_ + 1) {
      BecomeReplicate();
    }
    return false;
  }
  match_ = index;
  next_ = std::max(next_, match_ + 1);
  switch (state_) {
    case ProgressState::kProbe:
      BecomeReplicate();
      break;
    case ProgressState::kReplicate:
      inflights_.FreeThrough(index);
      break;
    case ProgressState::kSnapshot:
      if (match_ >= snapshot_at_least_) BecomeReplicate();
      break;
  }
  return true;
}

bool Progress::OnRefused(Index prev, Index retry_prev) {
  if (state_ == ProgressState::kReplicate) {
    // The peer acknowledged beyond this message since, so the refusal is older than that.
    if (prev <= match_) return false;
    BecomeProbe(match_ + 1);
    return true;
  }
  // In probe there is one message in flight, and it had prev = next - 1: any other is a stray.
  if (state_ != ProgressState::kProbe || next_ - 1 != prev) return false;
  BecomeProbe(std::max(std::min(prev, retry_prev + 1), match_ + 1));
  return true;
}

void Progress::BecomeProbe(Index next) {
  CHECK(next > match_, "next {} match {}", next, match_);
  state_ = ProgressState::kProbe;
  next_ = next;
  probe_sent_ = false;
  inflights_.Clear();
}

void Progress::BecomeReplicate() {
  state_ = ProgressState::kReplicate;
  next_ = match_ + 1;
  probe_sent_ = false;
  inflights_.Clear();
}

void Progress::BecomeSnapshot(Index at_least) {
  state_ = ProgressState::kSnapshot;
  snapshot_at_least_ = at_least;
  probe_sent_ = false;
  inflights_.Clear();
}

}  // namespace store::raft
