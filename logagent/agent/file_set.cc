// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/file_set.h"

#include "logagent/agent/poller.h"
#include "logagent/model/model.h"
#include "logagent/tail/glob.h"
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

// The row of this file. Device numbers may change when the machine or a mount comes back: then name
// and inode propose the row, and the content decides as always.
const SavedFile* LatestRow(const std::vector<SavedFile>& rows, const FoundFile& file) {
  const SavedFile* latest = nullptr;
  const SavedFile* other_device = nullptr;
  for (const SavedFile& row : rows) {
    const SavedFile*& best = row.file.device == file.facts.device ? latest : other_device;
    const Path& name = file.target.empty() ? file.path : file.target;
    bool proposed = row.file.device == file.facts.device || row.path == name.native();
    if (proposed && (best == nullptr || best->file.generation < row.file.generation)) {
      best = &row;
    }
  }
  return latest != nullptr ? latest : other_device;
}

Resume ResumeOf(const SavedFile& row) {
  return {row.file.generation, row.offset, row.head, row.mark};
}

FormerContent FormerOf(const SavedFile& row) {
  return {row.file, row.offset, row.size_seen, row.head, row.mark};
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
  Follow(*at->second, {});
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
  by_use_.erase(task.last_used);
  tasks_.erase(task.id);
  FileKey key = task.reader->key();
  task.entry.tasks.erase({key.device, key.inode});
}

const std::vector<TaskId>& FileSet::TasksAt(const std::string& path) const {
  static const std::vector<TaskId> kNone;
  auto at = by_path_.find(path);
  return at == by_path_.end() ? kNone : at->second;
}

void FileSet::DropName(const Path& name, TaskId id) {
  auto at = by_path_.find(name.native());
  if (at == by_path_.end()) {
    return;
  }
  std::erase(at->second, id);
  if (at->second.empty()) {
    by_path_.erase(at);
  }
}

void FileSet::DropPath(const FileTask& task) {
  DropName(task.path, task.id);
  DropName(task.target, task.id);
}

// A file is heard of under its name and, behind a link, under the name it really has.
void FileSet::SetPath(FileTask& task, const Path& path, const Path& target) {
  DropPath(task);
  task.path = path;
  task.target = target;
  by_path_[path.native()].push_back(task.id);
  if (!target.empty() && target != path) {
    by_path_[target.native()].push_back(task.id);
  }
}

void FileSet::Used(FileTask& task) {
  by_use_.erase(task.last_used);
  task.last_used = ++uses_;
  by_use_.emplace(task.last_used, task.id);
}

bool FileSet::EnsureOpen(FileTask& task, bool* gone) {
  *gone = false;
  if (task.reader->is_open()) {
    Used(task);
    return true;
  }
  Status opened = task.reader->Reopen(task.path);
  if (!opened && opened.error().code() == store::ErrorCode::kNotFound) {
    auto path = FindMoved(task);
    opened = path ? task.reader->Reopen(*path) : Status(store::Fail(path.error()));
    *gone = !path && path.error().code() == store::ErrorCode::kNotFound;
  }
  if (!opened) {
    task.error = opened.error().message();
    return false;
  }
  task.seen = names_.Seen();
  Used(task);
  return true;
}

// A name may lead to another file in the next moment: what it tells is no ground to count a loss.
void FileSet::Look(FileTask& task) {
  task.size_by_name = 0;
  if (task.reader->is_open()) {
    (void)task.reader->Look();
    return;
  }
  auto facts = files_.StatPath(task.path);
  const FileKey& key = task.reader->key();
  if (facts && facts->device == key.device && facts->inode == key.inode) {
    task.size_by_name = facts->size;
  }
}

// A name of the file other than its last one: beside it, or beside where a symbolic link led that
// is switched by now. Under a name that rotation would not give, the content decides: the inode of
// a file that was closed may have been reused.
Result<Path> FileSet::FindMoved(const FileTask& task) {
  const FileKey& key = task.reader->key();
  auto path = names_.Find(task.path, key.device, key.inode, task.seen);
  if (!path && !task.target.empty()) {
    path = names_.Find(task.target, key.device, key.inode, task.seen);
  }
  if (!path || task.reader->is_open() || *path == task.target ||
      (FamilyOf(*path) == FamilyOf(task.path) && !IsCompressed(path->native()))) {
    return path;
  }
  const FormerContent known = task.reader->present();
  auto file = files_.Open(*path);
  RETURN_IF_ERROR(file);
  auto same = Matches(files_, **file, known.offset, known.head, known.mark);
  RETURN_IF_ERROR(same);
  if (!*same || known.head.length == 0) {
    return store::Fail(store::ErrorCode::kNotFound,
                       task.path.string() + ": another file has its inode by now");
  }
  return path;
}

// A closed file can vanish, so only one that was read as far as it goes and still has a name is
// closed; beyond unread_files_max one that is not read yet, too.
bool FileSet::MayClose(const FileTask& task, bool unread) const {
  const Reader& reader = *task.reader;
  bool read = task.at_end || reader.offset() == reader.size_seen();
  if (task.detached || !task.drained() || (!read && !unread)) {
    return false;
  }
  auto facts = task.reader->Look();
  return facts && facts->links > 0 && (unread || facts->size == reader.size_seen());
}

void FileSet::CloseIdle() {
  names_.Expire();
  CloseDownTo(options_.open_files_max, false);
  CloseDownTo(std::max(options_.open_files_max, options_.unread_files_max), true);
}

bool FileSet::MayRead(const FileTask& task) {
  if (task.reader->is_open() || by_use_.size() < options_.read_files_max) {
    return true;
  }
  CloseDownTo(options_.read_files_max - 1, true);
  return by_use_.size() < options_.read_files_max;
}

void FileSet::CloseDownTo(size_t open_max, bool unread) {
  for (auto at = by_use_.begin(); at != by_use_.end() && by_use_.size() > open_max;) {
    FileTask& task = *tasks_.at(at->second);
    if (!MayClose(task, unread)) {
      ++at;
      continue;
    }
    ++at;
    CloseFile(task);
  }
}

void FileSet::CloseFile(FileTask& task) {
  task.reader->CloseFile();
  by_use_.erase(std::exchange(task.last_used, 0));
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
    entry.unwatched.clear();
    for (const Path& directory : found.directories) {
      auto fresh = notifier_.Watch(directory);
      added = added || (fresh && *fresh);
      if (!fresh) {
        *watched = false;
        entry.unwatched = fresh.error().message();
      }
    }
    Follow(entry, found.directories);
    if (!added) {
      break;
    }
  }
  return found;
}

// A watch that no entry needs any more would go on to wake the shard.
void FileSet::Follow(Entry& entry, std::vector<Path> directories) {
  if (directories == entry.directories) {
    return;
  }
  for (const Path& directory : directories) {
    ++followers_[directory.native()];
  }
  for (const Path& directory : std::exchange(entry.directories, std::move(directories))) {
    auto at = followers_.find(directory.native());
    if (--at->second == 0) {
      followers_.erase(at);
      notifier_.Unwatch(directory);
    }
  }
}

FileSet::Scanned FileSet::Scan(Entry& entry) {
  Scanned scanned;
  Found found = Look(entry, &scanned.watched);
  entry.scan_error = found.error;
  entry.denied = found.denied;
  uint64_t seen = names_.Seen();
  absl::flat_hash_set<InodeId> present;
  std::vector<FoundFile> fresh;
  for (const FoundFile& file : found.files) {
    if (ShardOf(file.facts.device, file.facts.inode, options_.count) != options_.index) {
      continue;
    }
    present.emplace(file.facts.device, file.facts.inode);
    auto at = entry.tasks.find({file.facts.device, file.facts.inode});
    if (at == entry.tasks.end()) {
      fresh.push_back(file);
      continue;
    }
    FileTask& task = *at->second;
    task.seen = seen;
    bool changed = file.facts.size != task.reader->size_seen() ||
                   file.facts.modified_ns != task.reader->modified_ns_seen();
    if (changed && Replaced(task, file.path, scanned)) {
      Close(task);
      fresh.push_back(file);
      continue;
    }
    if (task.path != file.path || task.target != file.target) {
      SetPath(task, file.path, file.target);
    }
    task.detached = task.away = false;
    if (changed) {
      scanned.changed.push_back(task.id);
    }
  }
  SettleReplaced(entry, scanned);
  OpenFresh(entry, std::move(fresh), scanned);
  std::erase_if(entry.held, [&](const auto& held) { return !present.contains(held.first); });
  std::vector<TaskId> nameless;
  for (auto& [id, task] : entry.tasks) {
    if (!present.contains(id) && !task->detached) {
      nameless.push_back(task->id);
    }
  }
  for (TaskId id : nameless) {
    if (FileTask* task = Find(id)) {  // unless what was found behind another one has its inode
      Detach(*task, scanned);
    }
  }
  if (!entry.scanned) {
    OpenRotatedAway(entry, scanned);
  }
  SettleReplaced(entry, scanned);
  entry.scanned = true;
  entry.events_lost = false;
  entry.first_applied = false;
  return scanned;
}

FileSet::Known FileSet::KnownOf(const Entry& entry) const {
  Known known;
  for (SavedFile& row : checkpointer_.RowsOf(entry.key)) {
    known.rows[row.file.inode].push_back(std::move(row));
  }
  // Also those whose names are gone: what was copied from one may have been cut off since, and that
  // is noticed when it is read next.
  for (const auto& [id, task] : entry.tasks) {
    known.families[FamilyOf(task->path)].push_back(task->id);
  }
  return known;
}

// Those that are known from a checkpoint first: a new one may be a copy of them.
void FileSet::OpenFresh(Entry& entry, std::vector<FoundFile> fresh, Scanned& scanned) {
  if (fresh.empty()) {
    return;
  }
  Known known = KnownOf(entry);
  auto begin = entry.first_applied ? Reader::Start::kEnd : Reader::Start::kBeginning;
  std::vector<FoundFile> unknown;
  for (FoundFile& file : fresh) {
    auto rows = known.rows.find(file.facts.inode);
    const SavedFile* row = rows == known.rows.end() ? nullptr : LatestRow(rows->second, file);
    bool dropped = row != nullptr && std::find(scanned.gone.begin(), scanned.gone.end(),
                                               row->file) != scanned.gone.end();
    row = dropped ? nullptr : row;
    if (row == nullptr) {
      unknown.push_back(std::move(file));
    } else if (FileTask* task = Open(entry, file, row, begin, scanned)) {
      if (!task->reader->resumed() && HoldBack(entry, file, known)) {
        std::erase(scanned.opened, task->id);
        Close(*task);
      } else {
        known.families[FamilyOf(file.path)].push_back(task->id);
      }
    }
  }
  for (const FoundFile& file : unknown) {
    bool there = entry.tasks.contains({file.facts.device, file.facts.inode});
    if (there || (!entry.first_applied && HoldBack(entry, file, known))) {
      continue;
    }
    if (FileTask* task = Open(entry, file, nullptr, begin, scanned)) {
      known.families[FamilyOf(file.path)].push_back(task->id);
    }
  }
}

// Nothing of the entry is unsettled that a scan would settle before it looks at a new name.
bool FileSet::MayBeNew(const Entry& entry, const Path& path) const {
  const std::string& pattern = entry.spec.path;
  auto ours = [&](const std::string& name) {
    const std::vector<TaskId>& tasks = TasksAt(name);
    return std::any_of(tasks.begin(), tasks.end(),
                       [&](TaskId id) { return &tasks_.at(id)->entry == &entry; });
  };
  bool settled = entry.scanned && !entry.first_applied && !entry.events_lost &&
                 entry.scan_error.empty() && entry.tasks.size() < kGlobFilesMax;
  // A file that is literally called like the pattern is the only one it means.
  bool literal = HasGlobCharacters(pattern) && (path.native() == pattern || ours(pattern));
  return settled && !literal && PatternMeans(pattern, path) && !ours(path.native());
}

bool FileSet::OpenAppeared(Entry& entry, const Path& path, Scanned& scanned) {
  if (!MayBeNew(entry, path) || files_.FollowLink(path)) {
    return false;
  }
  auto facts = files_.StatPath(path);
  if (!facts || !facts->regular) {
    return false;
  }
  InodeId id(facts->device, facts->inode);
  if (ShardOf(id.first, id.second, options_.count) != options_.index) {
    return true;
  }
  if (entry.tasks.contains(id) || entry.held.contains(id) ||
      checkpointer_.Knows(entry.key, id.first, id.second)) {
    return false;
  }
  Known known;
  std::string family = FamilyOf(path);
  std::vector<TaskId>& relatives = known.families[family];
  for (const auto& [inode, task] : entry.tasks) {
    // Most are told apart by their first bytes.
    if (task->path.native().starts_with(family) && FamilyOf(task->path) == family) {
      relatives.push_back(task->id);
    }
  }
  FoundFile file{path, *facts, {}};
  return !HoldBack(entry, file, known) &&
         Open(entry, file, nullptr, Reader::Start::kBeginning, scanned) != nullptr;
}

FileTask* FileSet::Open(Entry& entry, const FoundFile& file, const SavedFile* row,
                        Reader::Start start, Scanned& scanned) {
  ReaderOptions options;
  options.chunk_bytes = options_.chunk_bytes;
  options.max_line_bytes = entry.spec.max_line_bytes;
  options.strip_cr = entry.spec.strip_cr;
  std::optional<Resume> resume;
  if (row != nullptr) {
    resume = ResumeOf(*row);
  }
  auto reader = Reader::Open(files_, entry.share, options, file.path, resume, start);
  if (!reader) {
    if (reader.error().code() != store::ErrorCode::kNotFound && entry.scan_error.empty()) {
      entry.scan_error = reader.error().message();
      entry.denied = entry.scan_error.find("ermission denied") != std::string::npos;
    }
    return nullptr;
  }
  FileKey key = (*reader)->key();
  if (entry.tasks.contains({key.device, key.inode})) {
    return nullptr;  // renamed between the listing and the open: the next scan sees it
  }
  auto made = std::make_unique<FileTask>(next_task_++, entry, file.path, std::move(*reader));
  FileTask& task = *made;
  task.quiet_since = task.behind_since = clock_.Now();
  tasks_.emplace(task.id, &task);
  entry.tasks.emplace(InodeId(key.device, key.inode), std::move(made));
  SetPath(task, file.path, file.target);
  task.seen = names_.Seen();
  Used(task);
  scanned.opened.push_back(task.id);
  ++entry.files_opened;
  if (row != nullptr && key != row->file) {
    scanned.gone.push_back(row->file);
    if (!task.reader->resumed()) {
      LoseFormer(entry, FormerOf(*row), file.path, /*deleted=*/false, scanned);
    }
  }
  // Its row is this task's again. `row` may be one of them: not used any more.
  std::erase_if(entry.finished, [&](const SavedFile& former) {
    bool same_inode = former.file.device == key.device && former.file.inode == key.inode;
    if (same_inode && former.file != key) {
      // Of what the inode held before. The next start would take the later generation.
      scanned.gone.push_back(former.file);
    }
    return same_inode;
  });
  CloseIdle();
  return &task;
}

void FileSet::Detach(FileTask& task, Scanned& scanned) {
  task.detached = true;
  scanned.changed.push_back(task.id);
  task.quiet_since = task.detached_since = clock_.Now();
  Path was = task.path;
  bool gone = false;
  EnsureOpen(task, &gone);  // from now on only the descriptor leads to it
  if (auto path = FindMoved(task)) {
    SetPath(task, *path);
    task.seen = names_.Seen();
    if (!scanned.watched || task.entry.events_lost) {
      OpenMissed(task.entry, was, *path, scanned);
    }
  } else {
    auto directory = files_.StatPath((task.target.empty() ? was : task.target).parent_path());
    task.away = !directory || directory->device != task.reader->key().device;
    DropPath(task);  // a file that has its name now is another one
  }
}

}  // namespace logagent
