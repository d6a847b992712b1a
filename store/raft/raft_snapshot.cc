// SPDX-License-Identifier: Apache-2.0
// Snapshots. The bytes travel from host to host; the core orders one (Output::snapshots), hears of
// its arrival (SnapshotNotice, stepped by the receiving host when the files are complete) and
// replaces the log when the host has installed it.
#include "store/base/check.h"
#include "store/raft/conf_change.h"
#include "store/raft/raft.h"

#include <algorithm>
#include <utility>

namespace store::raft {

void Raft::OnSnapshotSent(NodeId node, bool ok, Index index) {
  dirty_ = true;
  Leader* self = leader();
  Progress* peer = self == nullptr ? nullptr : self->tracker.Find(node);
  if (peer == nullptr || peer->state() != ProgressState::kSnapshot) return;
  // Sent: probe behind it; the peer's answer to the install says the same. Failed: probe from what
  // is known, which orders another one if it is still needed.
  // From its real index on: the log may have been cut up to there meanwhile, and a probe from the
  // ordered one would order another snapshot while the peer is still installing this one.
  Index base = peer->match();
  if (ok) base = std::max({base, peer->snapshot_at_least(), std::min(index, log_.last())});
  peer->BecomeProbe(base + 1);
  // Not at once: the peer may still be installing. The next heartbeat's answer opens it.
  peer->Pause();
}

void Raft::Handle(NodeId from, SnapshotNotice& notice) {
  HeardLeader(from);
  const SnapshotMeta& meta = notice.meta;
  CHECK(IsValid(meta.conf), "snapshot {} has an unsorted conf state", meta.index);
  // One install at a time; the leader repeats what is still needed (etcd #18055).
  if (restoring_) return;
  if (meta.index <= log_.commit() || log_.TermAt(meta.index) == meta.term) {
    // The log already has it: nothing to install.
    log_.CommitTo(std::max(log_.commit(), meta.index));
    SendDurably(from, AppendReply{term_, true, log_.commit(), Index(), Term()});
    return;
  }
  restoring_ = meta;
  output_.restore = meta;
}

void Raft::OnRestored(const SnapshotMeta& meta) {
  dirty_ = true;
  CHECK(restoring_ && *restoring_ == meta, "restored {} was not ordered", meta.index);
  restoring_.reset();
  log_.Reset(meta.index, meta.term);
  conf_ = meta.conf;
  reset_to_ = meta;
  if (LeaderId()) SendDurably(LeaderId(), AppendReply{term_, true, meta.index, Index(), Term()});
}

}  // namespace store::raft
