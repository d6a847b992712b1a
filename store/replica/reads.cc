// SPDX-License-Identifier: Apache-2.0
#include "store/replica/reads.h"

namespace store::replica {

void Reads::Join(LoopId loop, uint64_t through, raft::Raft& raft) {
  raft::ReadId batch = raft.RequestRead();
  // Tickets are cumulative, so a second call of the same loop in the same round only raises the
  // number.
  for (auto row = waiting_.rbegin(); row != waiting_.rend() && row->batch == batch; ++row) {
    if (row->loop == loop) {
      row->through = through;
      return;
    }
  }
  waiting_.push_back({loop, through, batch, env_.Now()});
}

void Reads::OnGrant(const raft::ReadGrant& grant) {
  // Granting a batch grants all before it: ids are monotone.
  while (!waiting_.empty() && waiting_.front().batch <= grant.batch) {
    granted_.push_back({waiting_.front().loop, waiting_.front().through, grant.index});
    waiting_.pop_front();
  }
  Release();
}

void Reads::OnFailed(raft::ReadId batch) {
  while (!waiting_.empty() && waiting_.front().batch <= batch) {
    env_.FailReads(waiting_.front().loop, waiting_.front().through, ErrorCode::kLeaderChanged);
    ++counts_.failed;
    waiting_.pop_front();
  }
}

void Reads::OnApplied(raft::Index applied) {
  applied_ = applied;
  Release();
}

void Reads::Release() {
  while (!granted_.empty() && granted_.front().index <= applied_) {
    env_.GrantReads(granted_.front().loop, granted_.front().through);
    granted_.pop_front();
  }
}

void Reads::Retry(raft::Raft& raft) {
  TimePoint now = env_.Now();
  size_t count = waiting_.size();
  for (size_t i = 0; i < count && waiting_.front().asked + retry_ <= now; ++i) {
    Waiting row = waiting_.front();
    waiting_.pop_front();
    row.batch = raft.RequestRead();
    row.asked = now;
    waiting_.push_back(row);
    ++counts_.slow;
  }
}

void Reads::FailAll(ErrorCode code) {
  for (const Granted& row : granted_) env_.FailReads(row.loop, row.through, code);
  for (const Waiting& row : waiting_) env_.FailReads(row.loop, row.through, code);
  granted_.clear();
  waiting_.clear();
}

}  // namespace store::replica
