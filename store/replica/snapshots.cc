// SPDX-License-Identifier: Apache-2.0
#include "store/replica/snapshots.h"

#include <algorithm>
#include <utility>

namespace store::replica {

void Snapshots::OnOrder(const raft::SnapshotOrder& order, TimePoint now) {
  auto [at, fresh] = rows_.try_emplace(order.peer);
  Row& row = at->second;
  switch (row.phase) {
    case Phase::kSending:
    case Phase::kAbandoned:
      row.again = order;
      return;
    case Phase::kWaiting:
    case Phase::kInstalling:  // it lost what it had, or the log was cut beyond it
    case Phase::kResting:
      Wait(row, order, now);
      break;
  }
  StartWaiting(now);
}

void Snapshots::Wait(Row& row, const raft::SnapshotOrder& order, TimePoint now) {
  // Each new wait is at the end, so that those who need one again and again leave room for the
  // rest.
  if (row.phase != Phase::kWaiting || row.turn == 0) row.turn = ++last_turn_;
  row.phase = Phase::kWaiting;
  row.order = order;
  row.index = order.at_least;
  row.again.reset();
  row.not_before = std::max(row.not_before, now);
}

Snapshots::Row* Snapshots::LongestWaiting(TimePoint now) {
  Row* next = nullptr;
  for (auto& [peer, row] : rows_) {
    if (row.phase != Phase::kWaiting || row.not_before > now) continue;
    if (next == nullptr || row.turn < next->turn) next = &row;
  }
  return next;
}

void Snapshots::StartWaiting(TimePoint now) {
  while (sending() < limits_.sends_max) {
    Row* row = LongestWaiting(now);
    if (row == nullptr) return;
    row->phase = Phase::kSending;
    env_.SendSnapshot(row->order);
  }
}

size_t Snapshots::sending() const {
  return static_cast<size_t>(std::count_if(rows_.begin(), rows_.end(), [](const auto& row) {
    return row.second.phase == Phase::kSending || row.second.phase == Phase::kAbandoned;
  }));
}

void Snapshots::OnTaken(const SnapshotTaken& taken) {
  auto found = rows_.find(taken.peer);
  if (found == rows_.end() || found->second.phase != Phase::kSending) return;
  found->second.index = std::max(found->second.index, taken.index);
}

void Snapshots::OnSent(const SnapshotSent& sent, TimePoint now, raft::Raft& raft) {
  auto found = rows_.find(sent.peer);
  if (found == rows_.end()) return;
  Row& row = found->second;
  if (row.phase != Phase::kSending && row.phase != Phase::kAbandoned) return;
  const std::optional<raft::SnapshotOrder> again = std::exchange(row.again, {});
  const bool serves = sent.ok && (!again || sent.index >= again->at_least);
  if (row.phase == Phase::kAbandoned && !again) {
    rows_.erase(found);
  } else if (serves) {
    raft.OnSnapshotSent(sent.peer, true, sent.index);
    row.phase = Phase::kInstalling;
    row.index = sent.index;
    row.since = now;
    row.pause = Duration(0);
  } else if (again) {
    // The core waits for the newer order; it was told of no failure.
    if (!sent.ok) Rest(row, now);
    Wait(row, *again, now);
  } else {
    Rest(row, now);
    raft.OnSnapshotSent(sent.peer, false);
  }
  StartWaiting(now);
}

void Snapshots::Rest(Row& row, TimePoint now) {
  row.phase = Phase::kResting;
  row.pause = std::clamp(row.pause * 2, limits_.retry_min, limits_.retry_max);
  row.not_before = now + row.pause;
}

void Snapshots::OnRole(bool leads) {
  if (leads) return;
  // Only a leader's snapshot is wanted. A transfer under way is told to end, and its end awaited:
  // there is one slot per peer.
  for (auto at = rows_.begin(); at != rows_.end();) {
    Row& row = at->second;
    if (row.phase == Phase::kSending) {
      row.phase = Phase::kAbandoned;
      env_.CancelSnapshot(at->first);
    }
    row.again.reset();
    at = row.phase == Phase::kAbandoned ? std::next(at) : rows_.erase(at);
  }
}

void Snapshots::OnTick(TimePoint now, const raft::Raft& raft) {
  if (rows_.empty()) return;
  const raft::Status status = raft.status();
  for (auto at = rows_.begin(); at != rows_.end();) {
    Row& row = at->second;
    auto peer = std::find_if(status.peers.begin(), status.peers.end(),
                             [&](const raft::PeerStatus& one) { return one.id == at->first; });
    const bool gone = peer == status.peers.end();
    const bool goes_on = !gone && peer->match >= row.index;
    bool over = false;
    switch (row.phase) {
      case Phase::kWaiting:
        over = gone;
        break;
      case Phase::kInstalling:
        over = gone || goes_on || now - row.since >= limits_.install_max;
        break;
      case Phase::kResting:
        over = gone || goes_on;
        break;
      case Phase::kSending:
        if (gone) {
          row.phase = Phase::kAbandoned;
          env_.CancelSnapshot(at->first);
        }
        break;
      case Phase::kAbandoned:
        break;
    }
    at = over ? rows_.erase(at) : std::next(at);
  }
  StartWaiting(now);
}

std::optional<raft::Index> Snapshots::Kept() const {
  std::optional<raft::Index> kept;
  for (const auto& [peer, row] : rows_) {
    if (row.phase != Phase::kSending && row.phase != Phase::kInstalling) continue;
    kept = std::min(kept.value_or(row.index), row.index);
  }
  return kept;
}

void Snapshots::OnReceived(const SnapshotReceived& received, raft::Raft& raft) {
  if (installing_ || received_) return env_.DropSnapshot(received.meta);
  received_ = received.meta;
  raft.Step({received.from, self_, raft::SnapshotNotice{received.term, received.meta}});
}

void Snapshots::OnRestore(const raft::SnapshotMeta& meta) {
  if (received_ == meta) received_.reset();
  installing_ = true;
}

void Snapshots::OnInstalled() { installing_ = false; }

void Snapshots::Settle() {
  if (received_) env_.DropSnapshot(*std::exchange(received_, {}));
}

}  // namespace store::replica
