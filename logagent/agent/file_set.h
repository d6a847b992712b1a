// SPDX-License-Identifier: Apache-2.0
// FileSet: which files a shard's entries have now. A scan of an entry watches the directories of
// its pattern, opens what is new, follows renames by (device, inode), and marks as detached what no
// name leads to any more. It answers with what changed; the shard makes start positions durable and
// reads. The shard's thread only; it owns entries and tasks. Bounded by the files that match.
#pragma once

#include "logagent/agent/file_task.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/tail/discovery.h"
#include "logagent/tail/file_system.h"
#include "logagent/tail/notify.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace logagent {

class FileSet {
 public:
  FileSet(const ShardOptions& options, FileSystem& files, Checkpointer& checkpointer,
          DirectoryNotifier& notifier, std::shared_ptr<Budget> budget, const store::Clock& clock)
      : options_(options),
        files_(files),
        checkpointer_(checkpointer),
        notifier_(notifier),
        budget_(std::move(budget)),
        clock_(clock) {}

  Entry& Add(EntrySpec spec, bool first_applied);
  void Remove(EntryId id);
  Entry* Find(EntryId id);
  FileTask* Find(TaskId id);
  FileTask* Find(EntryId id, const FileKey& file);
  void Close(FileTask& task);

  struct Scanned {
    std::vector<TaskId> opened;   // new readers; those not resumed need a durable start
    std::vector<TaskId> changed;  // to be looked at: they grew, shrank or were detached
    std::vector<FileKey> gone;    // rows whose file no longer exists
    bool watched = true;          // every directory is watched
  };
  Scanned Scan(Entry& entry);

  // Tasks whose last known name this is.
  const std::vector<TaskId>& TasksAt(const std::string& path) const;
  std::map<uint64_t, std::unique_ptr<Entry>>& entries() { return entries_; }
  const absl::flat_hash_map<TaskId, FileTask*>& tasks() const { return tasks_; }

 private:
  Found Look(Entry& entry, bool* watched);
  void OpenFile(Entry& entry, const FoundFile& file, Scanned& scanned);
  bool Open(Entry& entry, const Path& path, const std::optional<Resume>& resume,
            Reader::Start start, Scanned& scanned);
  void OpenRotatedAway(Entry& entry, Scanned& scanned);
  void Detach(FileTask& task, Scanned& scanned);
  void SetPath(FileTask& task, const Path& path);
  void DropPath(const FileTask& task);

  const ShardOptions options_;
  FileSystem& files_;
  Checkpointer& checkpointer_;
  DirectoryNotifier& notifier_;
  std::shared_ptr<Budget> budget_;
  const store::Clock& clock_;
  std::map<uint64_t, std::unique_ptr<Entry>> entries_;
  absl::flat_hash_map<TaskId, FileTask*> tasks_;  // of all entries
  absl::flat_hash_map<std::string, std::vector<TaskId>> by_path_;
  TaskId next_task_ = 1;
};

}  // namespace logagent
