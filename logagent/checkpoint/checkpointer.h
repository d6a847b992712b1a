// SPDX-License-Identifier: Apache-2.0
// Checkpointer: the thread that writes the state directory, so that no fsync ever stalls a shard or
// the control thread. Progress is coalesced by row, written every 50 ms without sync (it survives
// the process) and synced each second (it survives the machine). SaveNow is for what must be
// durable before something else happens (start positions, applied entries, the last good
// configuration): all that wait share one synced batch. Only acknowledged bytes are ever named;
// that is the caller's promise (AckTracker). Any thread may call it; callbacks run on the
// checkpointer thread and must only post. Memory: one row per (file, entry). A failed save is kept
// and tried again each second; error() says what a crash would repeat.
#pragma once

#include "logagent/checkpoint/store.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/thread.h"

#include <absl/functional/any_invocable.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {

struct CheckpointerOptions {
  store::Duration progress_interval = std::chrono::milliseconds(50);
  store::Duration sync_interval = std::chrono::seconds(1);
};

struct CheckpointerStats {
  uint64_t saves = 0;
  uint64_t syncs = 0;
  uint64_t failures = 0;
  uint64_t rows = 0;
  std::string error;  // of the last save; empty when it succeeded
};

class Checkpointer {
 public:
  using Done = absl::AnyInvocable<void(Status)>;

  Checkpointer(std::unique_ptr<CheckpointStore> store, CheckpointerOptions options,
               const store::Clock& clock, store::Logger log = {});
  // Without Stop nothing pending is written: what a kill would leave.
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // Loads everything and starts the thread. Call once.
  Status Start();
  // For a caller that is its own loop (the torture model), in place of Start: loads everything, and
  // then does what is due at each Step.
  Status Load();
  void Step();
  // Writes and syncs what is pending, then ends the thread. Idempotent.
  Status Stop();

  bool Applied(std::string_view entry) const;
  std::vector<SavedFile> RowsOf(std::string_view entry) const;
  // A row of the entry is of this inode, whatever the content's generation.
  bool Knows(std::string_view entry, uint64_t device, uint64_t inode) const;
  struct RowState {
    bool there = false;  // a row of this file and entry
    bool same = false;   // it says what this one says of name, content and state
  };
  RowState StateOf(const SavedFile& row) const;
  std::optional<std::string> LastGoodConfig() const;

  // A row moved on. Ignored if the row is gone.
  void Progress(SavedFile row);
  // One synced batch as soon as possible; `done` (may be empty) tells how it went.
  void SaveNow(SavedChanges changes, Done done);

  CheckpointerStats Stats() const;
  // The offsets as they were saved last of those rows of an entry that moved on since: what a crash
  // would read again.
  std::map<FileKey, uint64_t> Unsaved(std::string_view entry) const;

 private:
  using RowId = std::pair<std::string, FileKey>;  // entry, file
  struct Round {
    SavedChanges changes;
    std::vector<Done> waiting;
    bool sync = false;
  };

  void Run();
  bool RunRound();
  store::TimePoint NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WaitForWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Round TakeRound() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Write(Round& round);
  void Remember(const SavedChanges& changes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::unique_ptr<CheckpointStore> store_;  // of the thread, once started
  const CheckpointerOptions options_;
  const store::Clock& clock_;
  const store::Logger log_;

  mutable store::Mutex mutex_;
  store::CondVar changed_;
  std::map<RowId, SavedFile> rows_ ABSL_GUARDED_BY(mutex_);  // as of the last call, durable or not
  // Rows of rows_ to write, with the offset that was saved last.
  std::map<RowId, uint64_t> dirty_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> entries_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::string> config_ ABSL_GUARDED_BY(mutex_);
  SavedChanges urgent_ ABSL_GUARDED_BY(mutex_);
  std::vector<Done> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  CheckpointerStats stats_ ABSL_GUARDED_BY(mutex_);
  store::TimePoint next_progress_;  // of the thread
  store::TimePoint next_sync_;
  store::TimePoint retry_at_;  // not before this after a failure
  bool unsynced_ = false;
  store::Thread thread_;
};

}  // namespace logagent
