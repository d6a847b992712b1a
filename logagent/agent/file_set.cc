// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/file_set.h"

#include "logagent/agent/poller.h"
#include "logagent/model/model.h"
#include "store/base/check.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace logagent {
namespace {

// New directories may appear while a pattern is looked at; what still changes then is left to the
// events.
constexpr int kLooksMax = 4;

std::optional<SavedFile> LatestRow(const std::vector<SavedFile>& rows, uint64_t device,
                                   uint64_t inode) {
  std::optional<SavedFile> latest;
  for (const SavedFile& row : rows) {
    if (row.file.device == device && row.file.inode == inode &&
        (!latest || latest->file.generation < row.file.generation)) {
      latest = row;
    }
  }
  return latest;
}

Resume ResumeOf(const SavedFile& row) {
  return {row.file.generation, row.offset, row.head, row.mark};
}

}  // namespace

Entry& FileSet::Add(EntrySpec spec, bool first_applied) {
  auto entry = std::make_unique<Entry>();
  entry->key = EntryKey(spec.path, spec.topic);
  entry->first_applied = first_applied;
  entry->share = std::make_shared<BudgetShare>(budget_);
  entry->spec = std::move(spec);
  auto [at, added] = entries_.emplace(entry->spec.id.value(), std::move(entry));
  CHECK(added, "entry {} is there already", at->first);
  return *at->second;
}

void FileSet::Remove(EntryId id) {
  auto at = entries_.find(id.value());
  if (at == entries_.end()) {
    return;
  }
  while (!at->second->tasks.empty()) {
    Close(*at->second->tasks.begin()->second);
  }
  entries_.erase(at);
}

Entry* FileSet::Find(EntryId id) {
  auto at = entries_.find(id.value());
  return at == entries_.end() ? nullptr : at->second.get();
}

FileTask* FileSet::Find(TaskId id) {
  auto at = tasks_.find(id);
  return at == tasks_.end() ? nullptr : at->second;
}

FileTask* FileSet::Find(EntryId id, const FileKey& file) {
  Entry* entry = Find(id);
  if (entry == nullptr) {
    return nullptr;
  }
  auto at = entry->tasks.find({file.device, file.inode});
  bool same = at != entry->tasks.end() && at->second->reader->key() == file;
  return same ? at->second.get() : nullptr;
}

void FileSet::Close(FileTask& task) {
  DropPath(task);
  tasks_.erase(task.id);
  FileKey key = task.reader->key();
  task.entry.tasks.erase({key.device, key.inode});
}

const std::vector<TaskId>& FileSet::TasksAt(const std::string& path) const {
  static const std::vector<TaskId> kNone;
  auto at = by_path_.find(path);
  return at == by_path_.end() ? kNone : at->second;
}

void FileSet::DropPath(const FileTask& task) {
  auto at = by_path_.find(task.path.native());
  if (at == by_path_.end()) {
    return;
  }
  std::erase(at->second, task.id);
  if (at->second.empty()) {
    by_path_.erase(at);
  }
}

void FileSet::SetPath(FileTask& task, const Path& path) {
  DropPath(task);
  task.path = path;
  by_path_[path.native()].push_back(task.id);
}

// Watch first, look then: what appears in between is seen by one of the two.
Found FileSet::Look(Entry& entry, bool* watched) {
  Found found;
  for (int look = 0; look < kLooksMax; ++look) {
    auto seen = Discover(files_, entry.spec.path);
    if (!seen) {
      found.error = seen.error().message();
      return found;
    }
    found = std::move(*seen);
    bool added = false;
    *watched = true;
    for (const Path& directory : found.directories) {
      if (notifier_.Watches(directory)) {
        continue;
      }
      bool ok = notifier_.Watch(directory).has_value();
      added = added || ok;
      *watched = *watched && ok;
    }
    if (!added) {
      break;
    }
  }
  return found;
}

FileSet::Scanned FileSet::Scan(Entry& entry) {
  Scanned scanned;
  Found found = Look(entry, &scanned.watched);
  entry.directories = found.directories;
  entry.scan_error = found.error;
  entry.denied = found.denied;
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> present;
  for (const FoundFile& file : found.files) {
    if (ShardOf(file.facts.device, file.facts.inode, options_.count) != options_.index) {
      continue;
    }
    present.emplace(file.facts.device, file.facts.inode);
    auto at = entry.tasks.find({file.facts.device, file.facts.inode});
    if (at == entry.tasks.end()) {
      OpenFile(entry, file, scanned);
      continue;
    }
    FileTask& task = *at->second;
    if (task.path != file.path) {
      SetPath(task, file.path);
    }
    task.detached = false;
    if (file.facts.size != task.reader->size_seen()) {
      scanned.changed.push_back(task.id);
    }
  }
  for (auto& [id, task] : entry.tasks) {
    if (!present.contains(id) && !task->detached) {
      Detach(*task, scanned);
    }
  }
  if (!entry.scanned) {
    OpenRotatedAway(entry, scanned);
  }
  entry.scanned = true;
  entry.first_applied = false;
  return scanned;
}

void FileSet::OpenFile(Entry& entry, const FoundFile& file, Scanned& scanned) {
  auto row = LatestRow(checkpointer_.RowsOf(entry.key), file.facts.device, file.facts.inode);
  std::optional<Resume> resume;
  if (row) {
    resume = ResumeOf(*row);
  }
  bool at_end = entry.first_applied && !row;
  Open(entry, file.path, resume, at_end ? Reader::Start::kEnd : Reader::Start::kBeginning, scanned);
}

bool FileSet::Open(Entry& entry, const Path& path, const std::optional<Resume>& resume,
                   Reader::Start start, Scanned& scanned) {
  ReaderOptions options;
  options.chunk_bytes = options_.chunk_bytes;
  options.max_line_bytes = entry.spec.max_line_bytes;
  options.strip_cr = entry.spec.strip_cr;
  auto reader = Reader::Open(files_, entry.share, options, path, resume, start);
  if (!reader) {
    if (reader.error().code() != store::ErrorCode::kNotFound && entry.scan_error.empty()) {
      entry.scan_error = reader.error().message();
      entry.denied = entry.scan_error.find("ermission denied") != std::string::npos;
    }
    return false;
  }
  FileKey key = (*reader)->key();
  if (entry.tasks.contains({key.device, key.inode})) {
    return false;  // renamed between the listing and the open: the next scan sees it
  }
  if (resume && key.generation != resume->generation) {
    scanned.gone.push_back({key.device, key.inode, resume->generation});
  }
  auto task = std::make_unique<FileTask>(next_task_++, entry, path, std::move(*reader));
  task->quiet_since = task->behind_since = clock_.Now();
  SetPath(*task, path);
  scanned.opened.push_back(task->id);
  tasks_.emplace(task->id, task.get());
  entry.tasks.emplace(std::pair(key.device, key.inode), std::move(task));
  ++entry.files_opened;
  return true;
}

// Files that were rotated away while the agent was down are looked for under any name of their
// directory before they are given up.
void FileSet::OpenRotatedAway(Entry& entry, Scanned& scanned) {
  for (const SavedFile& row : checkpointer_.RowsOf(entry.key)) {
    if (ShardOf(row.file.device, row.file.inode, options_.count) != options_.index ||
        entry.tasks.contains({row.file.device, row.file.inode})) {
      continue;
    }
    auto path = FindByInode(files_, row.path, row.file.device, row.file.inode);
    if (!path) {
      scanned.gone.push_back(row.file);
      continue;
    }
    if (!Open(entry, *path, ResumeOf(row), Reader::Start::kBeginning, scanned)) {
      continue;
    }
    FileTask& task = *tasks_.at(scanned.opened.back());
    task.detached = true;
    if (!task.reader->resumed()) {
      // The inode was reused by a file this entry does not collect.
      scanned.opened.pop_back();
      Close(task);
    }
  }
}

void FileSet::Detach(FileTask& task, Scanned& scanned) {
  task.detached = true;
  task.quiet_since = clock_.Now();
  FileKey key = task.reader->key();
  if (auto path = FindByInode(files_, task.path, key.device, key.inode)) {
    SetPath(task, *path);
  } else {
    DropPath(task);  // a file that has its name now is another one
  }
  scanned.changed.push_back(task.id);
}

}  // namespace logagent
