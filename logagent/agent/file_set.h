// SPDX-License-Identifier: Apache-2.0
// FileSet: which files a shard's entries have now. A scan of an entry watches the directories of
// its pattern, opens what is new, follows renames by (device, inode), and marks as detached what no
// name leads to any more. It answers with what changed; the shard makes start positions durable and
// reads. What rotation hides is looked for (file_set_former.cc): files that were rotated away while
// nobody looked, and the copy that copytruncate leaves, which inherits the position instead of
// being read again. Descriptors: files that are read to their end are closed beyond open_files_max,
// others beyond unread_files_max. The shard's thread only; it owns entries and tasks. Bounded by
// the files that match.
#pragma once

#include "logagent/agent/file_task.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/tail/directory_names.h"
#include "logagent/tail/discovery.h"
#include "logagent/tail/file_system.h"
#include "logagent/tail/notify.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {

// Names with the same directory and the same beginning: one may be a rotation of another.
std::string FamilyOf(const Path& path);

class FileSet {
 public:
  FileSet(const ShardOptions& options, FileSystem& files, Checkpointer& checkpointer,
          Notifier& notifier, std::shared_ptr<Budget> budget, const store::Clock& clock)
      : options_(options),
        files_(files),
        checkpointer_(checkpointer),
        notifier_(notifier),
        budget_(std::move(budget)),
        clock_(clock),
        names_(files, clock) {}

  Entry& Add(EntrySpec spec, bool first_applied);
  void Remove(EntryId id);
  Entry* Find(EntryId id);
  FileTask* Find(TaskId id);
  FileTask* Find(EntryId id, const FileKey& file);
  void Close(FileTask& task);
  // Before a task's file is read. False: it could not be opened, task.error says why; `gone` when
  // no name leads to it any more.
  bool EnsureOpen(FileTask& task, bool* gone);
  // Of a task with nothing in flight, until EnsureOpen.
  void CloseFile(FileTask& task);
  // How long it is by now, though it is not read.
  void Look(FileTask& task);
  // Not when it is closed and read_files_max are open, of which none can be closed: connections
  // need what descriptors are left, for only acknowledgements let files be closed.
  bool MayRead(const FileTask& task);
  void CloseIdle();

  struct Scanned {
    std::vector<TaskId> opened;   // new readers; those not resumed need a durable start
    std::vector<TaskId> changed;  // to be looked at: they grew, shrank or were detached
    std::vector<FileKey> gone;    // rows whose file no longer exists
    bool watched = true;          // every directory is watched
    // Contents whose inodes are other files by now, with their last names: not settled yet.
    std::vector<std::pair<FormerContent, Path>> replaced;
  };
  Scanned Scan(Entry& entry);
  // A name that appeared in a directory of the entry. Opens a file of the pattern that neither the
  // name nor the inode speaks of yet, as a scan would; false when only a scan can tell what it is.
  bool OpenAppeared(Entry& entry, const Path& path, Scanned& scanned);
  // A file the entry should have seen under `was`, which was renamed before anybody looked.
  void OpenRenamed(Entry& entry, const Path& was, const Path& now, Scanned& scanned);
  // The content of task's file is another one: who answers for the former? The copy's new task, if
  // there is a copy.
  FileTask* SucceedFormer(FileTask& task, Scanned& scanned);
  // A file that was closed is gone, and its task with it: of what it held a copy may be left.
  void LoseGone(Entry& entry, const FormerContent& former, const Path& was, Scanned& scanned);
  // After SucceedFormer: the new content is the copy of another file, made under a reused inode.
  bool IsCopyOfOther(FileTask& task);

  // Tasks whose last known name this is.
  const std::vector<TaskId>& TasksAt(const std::string& path) const;
  std::map<uint64_t, std::unique_ptr<Entry>>& entries() { return entries_; }
  const absl::flat_hash_map<TaskId, FileTask*>& tasks() const { return tasks_; }

 private:
  // What a new file of an entry is compared with; made once per scan that finds one.
  struct Known {
    absl::flat_hash_map<uint64_t, std::vector<SavedFile>> rows;  // by inode
    absl::flat_hash_map<std::string, std::vector<TaskId>> families;
  };

  Found Look(Entry& entry, bool* watched);
  void Follow(Entry& entry, std::vector<Path> directories);
  void OpenFresh(Entry& entry, std::vector<FoundFile> fresh, Scanned& scanned);
  FileTask* Open(Entry& entry, const FoundFile& file, const SavedFile* row, Reader::Start start,
                 Scanned& scanned);
  Known KnownOf(const Entry& entry) const;
  bool MayBeNew(const Entry& entry, const Path& path) const;
  // A file that was closed is another one by now: it was deleted, and the file of that name has its
  // inode.
  bool Replaced(FileTask& task, const Path& path, Scanned& scanned);
  void SettleReplaced(Entry& entry, Scanned& scanned);
  void OpenRotatedAway(Entry& entry, Scanned& scanned);
  void OpenMissed(Entry& entry, const Path& was, const Path& now, Scanned& scanned);
  bool OpenDetached(Entry& entry, const Path& path, const SavedFile* row, Scanned& scanned);
  // The file of that name holds what the row tells of.
  bool IsThere(const Path& path, const SavedFile& row);
  // And ends where the row does.
  bool EndsThere(const Path& path, const SavedFile& row);
  // The file of that name begins otherwise: no copy of what `head` tells of. False where it is not
  // known; it is looked at only while heads_ are kept.
  bool BeginsOtherwise(const Path& path, const HeadHash& head);
  // `kept`: how many bytes of it a copy holds, whether that is opened now or was taken for a file
  // of its own before.
  FileTask* OpenCopy(Entry& entry, const FormerContent& former, const Path& near, Scanned& scanned,
                     uint64_t* kept);
  std::optional<SavedFile> RowOfCopy(const Path& path, const FormerContent& former);
  void LoseFormer(Entry& entry, const FormerContent& former, const Path& near, bool deleted,
                  Scanned& scanned);
  bool HoldBack(Entry& entry, const FoundFile& file, const Known& known);
  // What a new file has in common with one that is read: with what that one holds, or with what it
  // held when it was last read.
  enum class Likeness : uint8_t { kNone, kOfPresent, kOfFormer };
  Likeness CompareWith(FileTask& original, const FoundFile& file, const FileHandle& copy,
                       std::string_view head);
  void Detach(FileTask& task, Scanned& scanned);
  Result<Path> FindMoved(const FileTask& task);
  bool MayClose(const FileTask& task, bool unread) const;
  void CloseDownTo(size_t open_max, bool unread);
  void SetPath(FileTask& task, const Path& path, const Path& target = {});
  void DropPath(const FileTask& task);
  void DropName(const Path& name, TaskId id);
  void Used(FileTask& task);

  const ShardOptions options_;
  FileSystem& files_;
  Checkpointer& checkpointer_;
  Notifier& notifier_;
  std::shared_ptr<Budget> budget_;
  const store::Clock& clock_;
  DirectoryNames names_;
  // By name, while the copies of many files are looked for at once: each is compared with each.
  std::optional<absl::flat_hash_map<std::string, HeadHash>> heads_;
  std::map<uint64_t, std::unique_ptr<Entry>> entries_;
  absl::flat_hash_map<TaskId, FileTask*> tasks_;  // of all entries
  absl::flat_hash_map<std::string, std::vector<TaskId>> by_path_;
  absl::flat_hash_map<std::string, size_t> followers_;  // entries by the directories they watch
  std::map<uint64_t, TaskId> by_use_;                   // those with an open file, by last_used
  uint64_t uses_ = 0;
  TaskId next_task_ = 1;
};

}  // namespace logagent
