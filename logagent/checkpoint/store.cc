// SPDX-License-Identifier: Apache-2.0
#include "logagent/checkpoint/store.h"

#include "store/base/file.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <fcntl.h>
#include <iterator>
#include <string_view>

namespace logagent {
namespace {

constexpr std::string_view kFormatKey = "m/format";
constexpr std::string_view kFormat = "1";
constexpr std::string_view kConfigKey = "c/config";

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
  } else if (status.ToString().find("lock") != std::string::npos) {
    code = store::ErrorCode::kBusy;
  }
  return store::Fail(code, status.ToString());
}

rocksdb::Options SmallOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 4 << 20;
  options.max_write_buffer_number = 2;
  options.compression = rocksdb::kNoCompression;
  options.max_open_files = 32;
  options.max_background_jobs = 2;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.max_manifest_file_size = 4 << 20;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksCheckpointStore final : public CheckpointStore {
 public:
  explicit RocksCheckpointStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}

  Result<SavedState> LoadAll() override {
    SavedState state;
    std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(rocksdb::ReadOptions()));
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

  Status Save(const SavedChanges& changes, bool sync) override {
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
    rocksdb::Status status = db_->Write(options, &batch);
    if (!status.ok()) {
      // A write that failed leaves the instance read-only; when the disk has room again this opens
      // it.
      db_->Resume();
      status = db_->Write(options, &batch);
    }
    return FromRocks(status);
  }

  Status Sync() override { return FromRocks(db_->SyncWAL()); }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

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

Result<std::unique_ptr<CheckpointStore>> OpenOnce(const Path& directory) {
  rocksdb::DB* raw = nullptr;
  Status open = FromRocks(rocksdb::DB::Open(SmallOptions(), directory.string(), &raw));
  if (!open && open.error().code() == store::ErrorCode::kBusy) {
    return store::Fail(store::ErrorCode::kBusy, "another agent is running" + LockHolder(directory));
  }
  RETURN_IF_ERROR(open);
  std::unique_ptr<rocksdb::DB> db(raw);
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
  auto opened = std::make_unique<RocksCheckpointStore>(std::move(db));
  RETURN_IF_ERROR(opened->LoadAll());
  return opened;
}

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
    opened.store = std::move(*first);
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
  opened.store = std::move(*second);
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
  return RocksCheckpointStore(std::unique_ptr<rocksdb::DB>(raw)).LoadAll();
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
