// SPDX-License-Identifier: Apache-2.0
// Raft: one replica of the protocol (Ongaro's thesis, with pre-vote 9.6, check-quorum 6.2, leadership
// transfer 3.10, read index 6.4, learners and single-step membership changes 4.1-4.2).
// Single-threaded and deterministic: the same config, restart state and sequence of calls gives the same
// outputs. Time is Tick(); entropy is Config::seed. Never blocks, never throws, never calls the disk or the
// network: it says what it wants in Output and is told what became of it.
// A message or call that this version does not know how to serve is impossible by type, not ignored.
// Memory is bounded by Config: window_bytes_max + uncommitted_bytes_max + per-peer in-flight bookkeeping.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "store/raft/config.h"
#include "store/raft/message.h"
#include "store/raft/output.h"
#include "store/raft/status.h"
#include "store/raft/types.h"

namespace store::raft {

enum class ProposeResult : uint8_t {
  kAppended,             // in the leader's log; outcome shows at apply
  kForwarded,            // on its way to the leader; outcome shows at apply or never
  kNoLeader,             // nothing happened; may be offered again
  kTooMuchUncommitted,   // nothing happened; may be offered again
  kConfChangePending,    // conf change only: one at a time, and the last one must be applied
};

class Raft {
 public:
  Raft(const Config& config, Restart restart);
  ~Raft();
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // Inputs.
  void Tick();
  void Step(Envelope envelope);
  // All or none; `commands` is moved from unless refused (kNoLeader, kTooMuchUncommitted).
  ProposeResult Propose(std::vector<std::string>&& commands);
  ProposeResult ProposeConfChange(const ConfChange& change);
  // From the applier, at the entry's log position; kNone when membership rejected the change.
  ConfState ApplyConfChange(const ConfChange& change);
  // Joins the next read round; answered in Output::reads (or reads_failed). Calls between two outputs
  // share one id.
  ReadId RequestRead();
  void TransferLeadership(NodeId to);
  void Campaign();                                            // tests and first boot
  void OnPersisted(uint64_t unit);                            // ids ascending
  void OnApplied(Index index);
  void OnFetched(NodeId peer, Index from, std::vector<EntryPtr> entries);  // empty: already truncated
  void OnUnreachable(NodeId peer);
  void OnSnapshotSent(NodeId peer, bool ok);
  // Installed and durable; only then reset_to is emitted and the leader answered.
  void OnRestored(const SnapshotMeta& meta);
  // The host decides; through <= durable applied index.
  void TruncateLog(Index through);

  bool HasOutput() const;
  Output TakeOutput();  // must be executed
  // Term of an entry still in the log or just before it.
  Term TermAt(Index index) const;
  Status status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace store::raft
