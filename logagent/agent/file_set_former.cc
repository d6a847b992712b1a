// SPDX-License-Identifier: Apache-2.0
// What rotation hides from a scan: files that were renamed before anybody looked, and contents that
// are no longer where they were read (truncated, replaced), of which copytruncate left a copy.
#include "logagent/agent/file_set.h"
#include "logagent/agent/poller.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace logagent {
namespace {

// Files of an entry up to which the copy of one that is gone is looked for under every name.
constexpr size_t kLookThroughMax = 64;

Path DirectoryOf(const Path& path) {
  return path.has_parent_path() ? path.parent_path() : Path(".");
}

// "access" of "access.log.1": logrotate's `extension` puts the number in the middle.
std::string StemOf(const Path& path) {
  std::string name = path.filename().string();
  return name.empty() ? name : name.substr(0, name.find('.', 1));
}

// `name` is a rotation of `other`, or both are of the same name: the original may have been rotated
// once more since it was copied.
bool AreRotations(std::string_view name, std::string_view other) {
  if (IsRotatedName(name, other)) {
    return true;
  }
  for (size_t end = 1; end < other.size(); ++end) {
    std::string_view base = other.substr(0, end);
    if (IsRotatedName(other, base) && IsRotatedName(name, base)) {
      return true;
    }
  }
  return false;
}

bool SameBytes(FileSystem& files, const FileHandle& a, const FileHandle& b, uint64_t offset,
               size_t length) {
  std::string bytes_a(length, '\0');
  std::string bytes_b(length, '\0');
  auto count_a = files.ReadAt(a, offset, bytes_a);
  auto count_b = files.ReadAt(b, offset, bytes_b);
  return count_a && count_b && *count_a == length && bytes_a == bytes_b;
}

}  // namespace

std::string FamilyOf(const Path& path) { return (DirectoryOf(path) / StemOf(path)).string(); }

// Files that were rotated away while the agent was down are looked for under any name of their
// directory before they are given up, and with them what was rotated after them.
void FileSet::OpenRotatedAway(Entry& entry, Scanned& scanned) {
  std::vector<std::pair<Path, Path>> renamed;
  uint64_t seen = names_.Seen();  // listings from before may not know them
  heads_.emplace();
  for (const SavedFile& row : checkpointer_.RowsOf(entry.key)) {
    InodeId id(row.file.device, row.file.inode);
    bool replaced =
        std::find(scanned.gone.begin(), scanned.gone.end(), row.file) != scanned.gone.end();
    if (replaced || ShardOf(id.first, id.second, options_.count) != options_.index ||
        entry.tasks.contains(id)) {
      continue;
    }
    auto path = names_.Find(row.path, id.first, id.second, seen);
    if (path && row.state == FileState::kFinished && EndsThere(*path, row)) {
      entry.finished.push_back(row);
      continue;
    }
    if (path && OpenDetached(entry, *path, &row, scanned)) {
      renamed.emplace_back(row.path, *path);
      continue;
    }
    auto directory = files_.StatPath(DirectoryOf(row.path));
    if (!directory || directory->device != row.file.device) {
      continue;  // its whole directory is away, a mount perhaps: it may come back
    }
    scanned.gone.push_back(row.file);
    if (row.state == FileState::kFinished) {
      continue;
    }
    LoseFormer(entry, {row.file, row.offset, row.size_seen, row.head, row.mark}, row.path,
               /*deleted=*/true, scanned);
  }
  heads_.reset();
  for (const auto& [was, now] : renamed) {
    OpenMissed(entry, was, now, scanned);
  }
}

// A file no name of which matches, to be read to its end. With a row it must be that file.
bool FileSet::OpenDetached(Entry& entry, const Path& path, const SavedFile* row, Scanned& scanned) {
  auto facts = files_.StatPath(path);
  if (!facts || !facts->regular) {
    return false;
  }
  auto stale = entry.tasks.find({facts->device, facts->inode});
  if (stale != entry.tasks.end()) {
    // Unless that was deleted while it was closed, and its inode is this file's by now.
    FileTask& task = *stale->second;
    if (task.state == FileTask::State::kStarting || !Replaced(task, path, scanned)) {
      return false;
    }
    Close(task);
  }
  if (row != nullptr) {
    // Nothing is known of what it held: only a name that rotation gives speaks for it.
    if (row->head.length == 0 && row->offset == 0 &&
        (FamilyOf(path) != FamilyOf(row->path) || IsCompressed(path.native()))) {
      return false;
    }
    if (!IsThere(path, *row)) {
      return false;  // the inode was reused by a file this entry does not collect
    }
  }
  FileTask* task = Open(entry, {path, *facts, {}}, row, Reader::Start::kBeginning, scanned);
  if (task == nullptr) {
    return false;
  }
  task->detached = true;
  task->detached_since = clock_.Now();
  return true;
}

// `was` is called `now`. If it was rotated more than once, the files in between never had a look:
// they have a rotated name of `was` and were written to after it.
void FileSet::OpenMissed(Entry& entry, const Path& was, const Path& now, Scanned& scanned) {
  std::string base = was.filename().string();
  auto first = files_.StatPath(now);
  auto names = files_.List(DirectoryOf(was));
  if (!first || !names || !IsRotatedName(now.filename().string(), base)) {
    return;
  }
  for (const DirectoryEntry& name : *names) {
    Path path = DirectoryOf(was) / name.name;
    if (name.directory || name.inode == first->inode || path == now ||
        !IsRotatedName(name.name, base)) {
      continue;
    }
    auto facts = files_.StatPath(path);
    if (!facts || facts->modified_ns <= first->modified_ns || PatternMeans(entry.spec.path, path)) {
      continue;
    }
    auto row =
        std::find_if(entry.finished.begin(), entry.finished.end(), [&](const SavedFile& finished) {
          return finished.file.device == facts->device && finished.file.inode == facts->inode;
        });
    bool known = row != entry.finished.end() && IsThere(path, *row);
    if (!known) {
      OpenDetached(entry, path, nullptr, scanned);
    } else if (facts->size != row->offset) {
      OpenDetached(entry, path, &*row, scanned);
    }
  }
}

void FileSet::OpenRenamed(Entry& entry, const Path& was, const Path& now, Scanned& scanned) {
  if (entry.draining || !entry.scanned || !PatternMeans(entry.spec.path, was) ||
      IsCompressed(now.native()) || PatternMeans(entry.spec.path, now)) {
    return;
  }
  OpenDetached(entry, now, nullptr, scanned);
  SettleReplaced(entry, scanned);
}

// Nothing was written to it since, and its inode is no other file's by now.
bool FileSet::EndsThere(const Path& path, const SavedFile& row) {
  auto facts = files_.StatPath(path);
  return facts && facts->size == row.offset && IsThere(path, row);
}

bool FileSet::IsThere(const Path& path, const SavedFile& row) {
  auto file = files_.Open(path);
  auto same = file ? Matches(files_, **file, row.offset, row.head, row.mark) : Result<bool>(false);
  return same && *same;
}

// Only of whole heads, which do not change while a file grows.
bool FileSet::BeginsOtherwise(const Path& path, const HeadHash& head) {
  if (!heads_ || head.length < kHeadBytesMax) {
    return false;
  }
  auto [at, added] = heads_->try_emplace(path.native());
  if (added) {
    auto file = files_.Open(path);
    auto read = file ? ReadHead(files_, **file, kHeadBytesMax) : Result<HeadHash>(HeadHash());
    at->second = read ? *read : HeadHash();
  }
  return at->second.length == kHeadBytesMax && at->second != head;
}

// The file that holds what `former` was: same head, same bytes before the position.
FileTask* FileSet::OpenCopy(Entry& entry, const FormerContent& former, const Path& near,
                            Scanned& scanned, uint64_t* kept) {
  *kept = 0;
  // A file that is read anyway must be like all that is known before it counts as the copy.
  bool known = former.head.length >= std::min<uint64_t>(former.size, kHeadBytesMax);
  auto names = files_.List(DirectoryOf(near));
  if (!names || former.head.length == 0) {
    return nullptr;
  }
  std::string stem = StemOf(near);
  for (const DirectoryEntry& name : *names) {
    if (name.directory || name.inode == former.key.inode || !name.name.starts_with(stem) ||
        IsCompressed(name.name)) {
      continue;
    }
    Path path = DirectoryOf(near) / name.name;
    if (BeginsOtherwise(path, former.head)) {
      continue;
    }
    auto row = RowOfCopy(path, former);
    if (!row || !IsThere(path, *row)) {
      continue;
    }
    if (OpenDetached(entry, path, &*row, scanned)) {
      FileTask* task = entry.tasks.at({row->file.device, row->file.inode}).get();
      task->detached = !PatternMeans(entry.spec.path, path);
      entry.held.erase({row->file.device, row->file.inode});
      *kept = task->reader->size_seen();
      return task;
    }
    auto own = entry.tasks.find({row->file.device, row->file.inode});
    if (own != entry.tasks.end() && known) {
      *kept = std::max(*kept, own->second->reader->size_seen());
    }
  }
  return nullptr;
}

// Where to go on in `path` if it may be a copy of `former`; OpenDetached compares the bytes. A copy
// that ends before the position has nothing new: one of the last reads must have ended within it.
std::optional<SavedFile> FileSet::RowOfCopy(const Path& path, const FormerContent& former) {
  auto facts = files_.StatPath(path);
  if (!facts || !facts->regular) {
    return std::nullopt;
  }
  SavedFile row;
  row.file = {facts->device, facts->inode, 0};
  row.offset = former.offset;
  if (facts->size >= former.head.length) {
    row.head = former.head;  // else the mark alone decides
  }
  row.mark = former.mark;
  if (facts->size >= former.offset) {
    // With neither head nor mark any file would do.
    return row.head.length > 0 || row.offset > 0 ? std::optional(row) : std::nullopt;
  }
  row.offset = 0;
  for (const auto& [end, mark] : former.trail.ends) {
    if (end <= facts->size && end > row.offset) {
      row.offset = end;
      row.mark = mark;
    }
  }
  auto file = files_.Open(path);
  auto same = file && row.offset > 0 ? Matches(files_, **file, row.offset, row.head, row.mark)
                                     : Result<bool>(false);
  if (!same || !*same) {
    return std::nullopt;
  }
  auto mark = ReadMark(files_, **file, facts->size);
  row.offset = facts->size;
  row.mark = mark ? *mark : TailMark();
  return row;
}

// What was seen of a content and not read is lost, but for what a copy of it still holds.
void FileSet::LoseFormer(Entry& entry, const FormerContent& former, const Path& near, bool deleted,
                         Scanned& scanned) {
  uint64_t kept = 0;
  OpenCopy(entry, former, near, scanned, &kept);
  uint64_t lost = former.size - std::min(former.size, std::max(former.offset, kept));
  (deleted ? entry.lost.deleted : entry.lost.truncated) += lost;
}

bool FileSet::Replaced(FileTask& task, const Path& path, Scanned& scanned) {
  if (task.reader->is_open()) {
    return false;
  }
  const Path was = task.path;
  bool gone = false;
  if (!EnsureOpen(task, &gone) && gone) {
    SetPath(task, path);  // no look has found that name yet
    EnsureOpen(task, &gone);
  }
  if (!task.reader->is_open()) {
    return false;
  }
  const FormerContent known = task.reader->present();
  // Nothing is known of what it held: what is there now is looked at like a new file.
  bool blank = known.offset == 0 && known.head.length == 0;
  auto same = Matches(files_, task.reader->file(), known.offset, known.head, known.mark);
  if (!same || (*same && !blank)) {
    return false;
  }
  scanned.gone.push_back(known.key);
  scanned.replaced.emplace_back(known, was);
  return true;
}

// When none of them stands in the way of a copy of another any more.
void FileSet::SettleReplaced(Entry& entry, Scanned& scanned) {
  while (!scanned.replaced.empty()) {
    auto [former, path] = std::move(scanned.replaced.back());
    scanned.replaced.pop_back();
    LoseFormer(entry, former, path, /*deleted=*/true, scanned);
  }
}

void FileSet::LoseGone(Entry& entry, const FormerContent& former, const Path& was,
                       Scanned& scanned) {
  // A copy that the pattern means is held back by now. The directory is looked through for others,
  // but not once for each of thousands of files that are removed together.
  if (entry.held.empty() && entry.tasks.size() > kLookThroughMax) {
    entry.lost.deleted += former.lost();
    return;
  }
  LoseFormer(entry, former, was, /*deleted=*/true, scanned);
  SettleReplaced(entry, scanned);
}

FileTask* FileSet::SucceedFormer(FileTask& task, Scanned& scanned) {
  Entry& entry = task.entry;
  const FormerContent& former = task.reader->former();
  AckTracker tracker = std::exchange(task.tracker, AckTracker(0, next_task_++));
  uint64_t series = tracker.series();
  entry.formers.erase(series);  // when this was an heir itself
  auto marks = std::exchange(task.marks, {});
  TailMark low_mark = std::exchange(task.low_mark, {});
  uint64_t kept = 0;
  FileTask* heir = OpenCopy(entry, former, task.path, scanned, &kept);
  SettleReplaced(entry, scanned);
  entry.lost.truncated += former.size - std::min(former.size, std::max(former.offset, kept));
  uint64_t end = tracker.high_water();
  if (heir == nullptr || heir->reader->offset() != former.offset) {
    if (tracker.unanswered() > 0 && (heir != nullptr || kept < end)) {
      entry.formers.insert_or_assign(series, FormerRanges{0, end, std::move(tracker)});
    }
    return heir;
  }
  if (tracker.unanswered() > 0) {
    entry.formers.insert_or_assign(series, FormerRanges{heir->id, end, AckTracker(0, 0)});
  }
  heir->tracker = std::move(tracker);
  heir->marks = std::move(marks);
  heir->low_mark = low_mark;
  return heir;
}

// Copytruncate makes its copy before it truncates, and the copy may match the pattern. A new file
// that so far equals one that is read waits until that one is truncated (OpenCopy finds it then) or
// it is plain that it is a file of its own.
bool FileSet::HoldBack(Entry& entry, const FoundFile& file, const Known& known) {
  auto family = known.families.find(FamilyOf(file.path));
  if (family == known.families.end()) {
    return false;
  }
  InodeId id(file.facts.device, file.facts.inode);
  auto copy = files_.Open(file.path);
  if (!copy) {
    return false;
  }
  std::string head(std::min<uint64_t>(file.facts.size, kHeadBytesMax), '\0');
  auto count = files_.ReadAt(**copy, 0, head);
  head.resize(count ? *count : 0);
  Likeness likeness = Likeness::kNone;
  for (TaskId original : family->second) {
    if (FileTask* task = Find(original)) {
      likeness = std::max(likeness, CompareWith(*task, file, **copy, head));
    }
  }
  if (likeness == Likeness::kNone) {
    entry.held.erase(id);
    return false;
  }
  auto [held, added] =
      entry.held.try_emplace(id, HeldCopy{file.path, file.facts.size, clock_.Now()});
  if (added || held->second.size != file.facts.size) {
    held->second = {file.path, file.facts.size, clock_.Now()};
    return true;
  }
  if (likeness == Likeness::kOfFormer ||
      clock_.Now() - held->second.since < options_.finish_quiet) {
    return true;
  }
  entry.held.erase(held);
  return false;
}

bool FileSet::IsCopyOfOther(FileTask& task) {
  auto path = FindMoved(task);  // no scan may have seen it yet
  auto facts = path ? files_.StatPath(*path) : Result<FileFacts>(store::Fail(path.error()));
  FileKey key = task.reader->key();
  if (!facts || facts->size == 0 || facts->inode != key.inode || facts->device != key.device) {
    return false;
  }
  Known known = KnownOf(task.entry);
  std::erase(known.families[FamilyOf(task.path)], task.id);
  return HoldBack(task.entry, {*path, *facts, task.target}, known);
}

FileSet::Likeness FileSet::CompareWith(FileTask& original, const FoundFile& file,
                                       const FileHandle& copy, std::string_view head) {
  const Reader& reader = *original.reader;
  size_t known = reader.head().length;
  bool young = head.size() < known;  // the copy has only begun, or the original grew since
  bool named = AreRotations(file.path.filename().string(), original.path.filename().string());
  if (((young || known == 0) && !named) ||
      (!young && known > 0 && HashHead(head.substr(0, known)) != reader.head())) {
    return Likeness::kNone;
  }
  bool gone = false;
  if (!EnsureOpen(original, &gone)) {
    // LoseGone looks for the copy of what is gone, soon: until then it may be this one.
    auto row = gone ? RowOfCopy(file.path, reader.present()) : std::nullopt;
    auto same = row && row->offset > 0 ? Matches(files_, copy, row->offset, row->head, row->mark)
                                       : Result<bool>(false);
    return same && *same ? Likeness::kOfPresent : Likeness::kNone;
  }
  size_t tail = std::min<size_t>(file.facts.size, kTailMarkBytes);
  bool present = SameBytes(files_, reader.file(), copy, 0, head.size()) &&
                 SameBytes(files_, reader.file(), copy, file.facts.size - tail, tail);
  auto row = RowOfCopy(file.path, reader.present());
  if (row && row->offset > 0) {
    auto mark = ReadMark(files_, copy, row->offset);
    bool same = mark && *mark == row->mark;
    return !same ? Likeness::kNone : present ? Likeness::kOfPresent : Likeness::kOfFormer;
  }
  return present ? Likeness::kOfPresent : Likeness::kNone;
}

}  // namespace logagent
