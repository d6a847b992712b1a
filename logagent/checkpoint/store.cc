// SPDX-License-Identifier: Apache-2.0
#include "logagent/checkpoint/store.h"

#include "store/base/file.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <set>
#include <string_view>

namespace logagent {
namespace {

constexpr std::string_view kFormatKey = "m/format";
constexpr std::string_view kFormat = "1";
constexpr std::string_view kConfigKey = "c/config";

// What RocksDB says of a lock that is held, by another process or by this one; not of a lock file
// that cannot be opened, nor of a path with the word in it.
bool IsHeldLock(const std::string& text) {
  bool elsewhere =
      text.find("While lock file: ") != std::string::npos && text.ends_with(std::strerror(EAGAIN));
  return elsewhere || text.find("lock hold by current process") != std::string::npos;
}

rocksdb::Slice AsSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

Status FromRocks(const rocksdb::Status& status) {
  if (status.ok()) {
    return store::Ok();
  }
  auto code = store::ErrorCode::kIo;
  if (status.IsNoSpace()) {
    code = store::ErrorCode::kNoSpace;
  } else if (status.IsCorruption() || status.IsInvalidArgument()) {
    code = store::ErrorCode::kCorruption;
  } else if (IsHeldLock(status.ToString())) {
    code = store::ErrorCode::kBusy;
  }
  return store::Fail(code, status.ToString());
}

// RocksDB's information log is not kept: on a full disk its writer (7.8) fails an assertion at its
// second line, which ends the agent. What goes wrong is in the status that a call returns.
class NoInfoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*values*/) override {}
};

rocksdb::Options SmallOptions() {
  rocksdb::Options options;
  options.info_log = std::make_shared<NoInfoLog>();
  options.create_if_missing = true;
  options.write_buffer_size = 4 << 20;
  options.max_write_buffer_number = 2;
  options.compression = rocksdb::kNoCompression;
  options.max_open_files = 32;
  options.max_background_jobs = 2;
  options.max_manifest_file_size = 4 << 20;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

using Database = std::unique_ptr<rocksdb::DB>;

Result<SavedState> LoadFrom(rocksdb::DB& db) {
  SavedState state;
  std::unique_ptr<rocksdb::Iterator> rows(db.NewIterator(rocksdb::ReadOptions()));
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    std::string_view key(rows->key().data(), rows->key().size());
    std::string_view value(rows->value().data(), rows->value().size());
    if (key.starts_with("f/")) {
      auto row = DecodeFileRow(key, value);
      RETURN_IF_ERROR(row);
      state.files.push_back(std::move(*row));
    } else if (key.starts_with("e/")) {
      state.entries.emplace(key.substr(2));
    } else if (key == kConfigKey) {
      state.config = std::string(value);
    }
  }
  RETURN_IF_ERROR(FromRocks(rows->status()));
  return state;
}

// Who holds RocksDB's lock of the directory. The kernel tells only who holds a lock that conflicts
// with ours, so nobody in this process is found.
std::string LockHolder(const Path& directory) {
  store::UniqueFd fd(::open((directory / "LOCK").c_str(), O_RDWR | O_CLOEXEC));
  struct flock wanted{};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;
  bool held = fd && ::fcntl(fd.get(), F_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK;
  return held && wanted.l_pid > 0 ? fmt::format(" (pid {})", wanted.l_pid) : std::string();
}

Result<Database> OpenOnce(const Path& directory) {
  rocksdb::DB* raw = nullptr;
  Status open = FromRocks(rocksdb::DB::Open(SmallOptions(), directory.string(), &raw));
  if (!open && open.error().code() == store::ErrorCode::kBusy) {
    return store::Fail(store::ErrorCode::kBusy, "another agent is running" + LockHolder(directory));
  }
  RETURN_IF_ERROR(open);
  Database db(raw);
  std::string format;
  rocksdb::Status found = db->Get(rocksdb::ReadOptions(), AsSlice(kFormatKey), &format);
  if (found.IsNotFound()) {
    rocksdb::WriteOptions options;
    options.sync = true;
    RETURN_IF_ERROR(FromRocks(db->Put(options, AsSlice(kFormatKey), AsSlice(kFormat))));
  } else if (!found.ok()) {
    RETURN_IF_ERROR(FromRocks(found));
  } else if (format != kFormat) {
    return store::Fail(store::ErrorCode::kUnsupported,
                       fmt::format("{}: state of format {} was written by a newer sluice-agent",
                                   directory.string(), format));
  }
  RETURN_IF_ERROR(LoadFrom(*db));
  return db;
}

// Opening writes the log's rows into a table, a manifest and options; an attempt that runs out of
// room on the way would use up what is there.
Status EnoughRoomToOpen(const Path& directory) {
  constexpr uintmax_t kSmallFiles = 128 << 10;
  std::error_code error;
  uintmax_t needed = kSmallFiles;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    std::error_code gone;
    uintmax_t size = file.file_size(gone);
    needed += gone ? 0 : size;
  }
  std::filesystem::space_info room = std::filesystem::space(directory, error);
  if (!error && room.available < needed) {
    return store::Fail(store::ErrorCode::kNoSpace,
                       fmt::format("{}: No space left on device: {} bytes are free, to go on "
                                   "saving takes {}",
                                   directory.string(), room.available, needed));
  }
  return store::Ok();
}

std::string CurrentManifest(const Path& directory) {
  return store::ReadFile((directory / "CURRENT").string()).value_or(std::string());
}

std::set<Path> FilesIn(const Path& directory) {
  std::set<Path> files;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    files.insert(file.path());
  }
  return files;
}

// RocksDB removes what a failed opening left only when one succeeds; with a try each second that is
// too late. While CURRENT names the same manifest nothing refers to the new files.
Result<Database> OpenAgain(const Path& directory) {
  RETURN_IF_ERROR(EnoughRoomToOpen(directory));
  std::string manifest = CurrentManifest(directory);
  std::set<Path> before = FilesIn(directory);
  auto opened = OpenOnce(directory);
  bool held = !opened && opened.error().code() == store::ErrorCode::kBusy;
  if (!opened && !held && !manifest.empty() && CurrentManifest(directory) == manifest) {
    for (const Path& file : FilesIn(directory)) {
      std::error_code ignored;
      if (!before.contains(file)) {
        std::filesystem::remove(file, ignored);
      }
    }
  }
  return opened;
}

// After a write that failed (no room, read-only) the database is closed, and opened again by the
// next call: RocksDB keeps the error with the writer of its log, and DB::Resume was seen not to
// lead out of it once there was room. What had been saved is in the log and is read again.
class RocksCheckpointStore final : public CheckpointStore {
 public:
  RocksCheckpointStore(Path directory, Database db)
      : directory_(std::move(directory)), db_(std::move(db)) {}

  Result<SavedState> LoadAll() override {
    RETURN_IF_ERROR(Open());
    return LoadFrom(*db_);
  }

  Status Save(const SavedChanges& changes, bool sync) override {
    RETURN_IF_ERROR(Open());
    rocksdb::WriteBatch batch;
    for (const auto& [file, entry] : changes.gone) {
      batch.Delete(EncodeFileKey(file, entry));
    }
    for (const std::string& entry : changes.entries_gone) {
      batch.Delete(EncodeEntryKey(entry));
    }
    for (const SavedFile& row : changes.files) {
      batch.Put(EncodeFileKey(row.file, row.entry), EncodeFileValue(row));
    }
    for (const std::string& entry : changes.entries) {
      batch.Put(EncodeEntryKey(entry), "applied");
    }
    if (changes.config) {
      batch.Put(AsSlice(kConfigKey), *changes.config);
    }
    rocksdb::WriteOptions options;
    options.sync = sync;
    return CloseIfFailed(db_->Write(options, &batch));
  }

  Status Sync() override {
    RETURN_IF_ERROR(Open());
    return CloseIfFailed(db_->SyncWAL());
  }

 private:
  // Never puts aside what cannot be read: that is for the start, when nothing is in memory yet.
  Status Open() {
    if (db_ == nullptr) {
      auto opened = OpenAgain(directory_);
      RETURN_IF_ERROR(opened);
      db_ = std::move(*opened);
    }
    return store::Ok();
  }
  Status CloseIfFailed(const rocksdb::Status& status) {
    if (!status.ok()) {
      db_.reset();
    }
    return FromRocks(status);
  }

  const Path directory_;
  Database db_;  // null: the last call failed
};

Result<Path> PutAside(const Path& directory) {
  for (int number = 1;; ++number) {
    Path aside = directory;
    aside += fmt::format(".corrupt-{}", number);
    if (!store::FileExists(aside.string())) {
      RETURN_IF_ERROR(store::RenameFile(directory.string(), aside.string()));
      return aside;
    }
  }
}

}  // namespace

bool SavedChanges::empty() const {
  return files.empty() && gone.empty() && entries.empty() && entries_gone.empty() && !config;
}

void SavedChanges::Append(SavedChanges more) {
  auto append = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(files, more.files);
  append(gone, more.gone);
  append(entries, more.entries);
  append(entries_gone, more.entries_gone);
  if (more.config) {
    config = std::move(more.config);
  }
}

Result<OpenedCheckpoint> OpenRocksCheckpoint(const Path& directory) {
  OpenedCheckpoint opened;
  bool existed = store::FileExists((directory / "CURRENT").string());
  RETURN_IF_ERROR(store::MakeDirs(directory.string()));
  auto first = OpenOnce(directory);
  if (first) {
    opened.store = std::make_unique<RocksCheckpointStore>(directory, std::move(*first));
    if (!existed) {
      opened.notice =
          directory.string() + ": no state yet: files that exist now start at their end";
    }
    return opened;
  }
  if (first.error().code() != store::ErrorCode::kCorruption) {
    return store::Fail(first.error().WithContext(directory.string()));
  }
  auto aside = PutAside(directory);
  RETURN_IF_ERROR(aside);
  auto second = OpenOnce(directory);
  RETURN_IF_ERROR(second);
  opened.store = std::make_unique<RocksCheckpointStore>(directory, std::move(*second));
  opened.notice = fmt::format(
      "{}: the state was damaged ({}) and is now in {}: files that exist now start at "
      "their end",
      directory.string(), first.error().message(), aside->string());
  return opened;
}

Result<SavedState> ReadRocksCheckpoint(const Path& directory) {
  rocksdb::DB* raw = nullptr;
  RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::OpenForReadOnly(SmallOptions(), directory.string(), &raw)));
  Database db(raw);
  return LoadFrom(*db);
}

Result<SavedState> MemoryCheckpointStore::LoadAll() {
  SavedState state;
  for (const auto& [id, row] : files_) {
    state.files.push_back(row);
  }
  state.entries = entries_;
  state.config = config_;
  return state;
}

Status MemoryCheckpointStore::Save(const SavedChanges& changes, bool /*sync*/) {
  for (const auto& [file, entry] : changes.gone) {
    files_.erase({entry, file});
  }
  for (const std::string& entry : changes.entries_gone) {
    entries_.erase(entry);
  }
  for (const SavedFile& row : changes.files) {
    files_[{row.entry, row.file}] = row;
  }
  entries_.insert(changes.entries.begin(), changes.entries.end());
  if (changes.config) {
    config_ = changes.config;
  }
  return store::Ok();
}

}  // namespace logagent
