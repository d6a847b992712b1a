// SPDX-License-Identifier: Apache-2.0
// LogWriter: the thread between the replica and the disk. It takes all units that queue, appends
// them as one group with one fsync, and then, on its own thread, tells which id is durable and
// hands over the messages that had waited for it. While the fsync runs the next group collects, so
// the group grows with the load. Submit, AppendHere and Stop from one thread. Bounded by what raft
// may have uncommitted or not durable (Config::uncommitted_bytes_max): a unit cannot be refused,
// only the proposal before it. The first error ends the writing for good: on_failed is called once
// and nothing is acknowledged any more.
#pragma once

#include "store/base/error.h"
#include "store/base/mailbox.h"
#include "store/base/thread.h"
#include "store/raft/message.h"
#include "store/raft/output.h"
#include "store/wal/log_store.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace store::wal {

class LogWriter {
 public:
  struct Callbacks {
    // Units up to `id` are durable; `release` may leave, in this order. Called by the writer's
    // thread.
    absl::AnyInvocable<void(uint64_t id, std::vector<raft::Envelope> release)> on_durable;
    absl::AnyInvocable<void(const Error& error)> on_failed;
  };
  // A group of units larger than this is appended in parts, each with an fsync of its own, so that
  // the first ones do not wait for the last.
  static constexpr size_t kGroupBytesMax = 8 << 20;

  LogWriter(LogStore& log, Callbacks callbacks);
  ~LogWriter() { Stop(); }

  void Start();
  // Appends what is queued and ends the thread. Idempotent.
  void Stop();
  void Submit(raft::PersistUnit unit);
  // Appends on the caller's thread, for one that has nothing else to do: it must be Submit's
  // thread, and on_durable must have told all that was submitted. on_durable is not called for this
  // unit, which must release nothing. False: on_failed was called.
  bool AppendHere(const raft::PersistUnit& unit);

  // Gauges, any thread.
  size_t queued_units() const { return queue_.items(); }
  size_t queued_bytes() const { return queue_.bytes(); }

 private:
  void Run();
  // False after an error.
  bool Append(std::vector<raft::PersistUnit>* units);
  bool AppendGroup(std::span<raft::PersistUnit> group);
  bool AppendOnce(std::span<const raft::PersistUnit* const> units);

  LogStore& log_;
  Callbacks callbacks_;
  Mailbox<raft::PersistUnit> queue_;
  Thread thread_;
};

}  // namespace store::wal
