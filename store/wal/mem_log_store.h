// SPDX-License-Identifier: Apache-2.0
// MemLogStore: the log in memory, for tests and the simulator. Crash loses what was not synced;
// HoldSyncs makes an fsync that does not return: Append of a unit that must be synced blocks until
// ReleaseSyncs. Any thread; a mutex guards everything.
#pragma once

#include "store/base/thread.h"
#include "store/wal/log_store.h"

#include <vector>

namespace store::wal {

class MemLogStore final : public LogStore {
 public:
  Result<LogImage> Load() override;
  Status Append(std::span<const raft::PersistUnit* const> group) override;
  Result<std::vector<raft::EntryPtr>> Read(raft::Index from, raft::Index to,
                                           size_t bytes_max) const override;
  Status TruncatePrefix(raft::Index through, raft::Term term) override;

  // Back to what was synced; the next call is Load.
  void Crash();
  void HoldSyncs();
  void ReleaseSyncs();
  bool holding() const;  // an Append waits

 private:
  static void Write(const raft::PersistUnit& unit, LogImage* image);

  mutable Mutex mutex_;
  CondVar changed_;
  LogImage written_ ABSL_GUARDED_BY(mutex_);
  LogImage durable_ ABSL_GUARDED_BY(mutex_);
  std::vector<raft::PersistUnit> unsynced_ ABSL_GUARDED_BY(mutex_);  // in written_ only
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace store::wal
