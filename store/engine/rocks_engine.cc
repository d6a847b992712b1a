// SPDX-License-Identifier: Apache-2.0
#include "store/engine/rocks_engine.h"

#include "store/base/check.h"
#include "store/base/crc32c.h"
#include "store/base/failpoint.h"
#include "store/base/file.h"
#include "store/engine/rocks_file_system.h"
#include "store/engine/rocks_options.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <unistd.h>
#include <utility>

namespace store::engine {
namespace {

// Smaller values are copied out of their block, which they share with others and would hold for
// long.
constexpr size_t kPinBytesMin = 4096;

// RocksDB's own flush before a checkpoint or a compaction by hand chooses the tables that have
// something first and keeps writers out after it: a batch between the two is on disk in some tables
// and not in others (its pull request 11148, mended after Debian's release). Flush names all
// tables and is whole, so what is on disk already is taken, and nothing flushed.
constexpr uint64_t kFlushNothing = std::numeric_limits<uint64_t>::max();

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

ErrorCode CodeOf(const rocksdb::Status& status) {
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace)
    return ErrorCode::kNoSpace;
  if (status.IsCorruption()) return ErrorCode::kCorruption;
  if (status.IsNotFound()) return ErrorCode::kNotFound;
  if (status.IsBusy()) return ErrorCode::kBusy;
  if (status.IsShutdownInProgress()) return ErrorCode::kCancelled;
  if (status.IsNotSupported()) return ErrorCode::kUnsupported;
  if (status.IsInvalidArgument()) return ErrorCode::kInvalidArgument;
  return ErrorCode::kIo;
}

Error ToError(const rocksdb::Status& status, std::string_view what) {
  return Error(CodeOf(status), fmt::format("{}: {}", what, status.ToString()));
}

Status ToStatus(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return Ok();
  return Fail(ToError(status, what));
}

using TroubleAction = absl::AnyInvocable<void(EngineTrouble, const Error&) const>;

class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(std::shared_ptr<const TroubleAction> on_error)
      : on_error_(std::move(on_error)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (!*on_error_) return;
    const Error error = ToError(*status, "engine background work");
    const bool full = error.code() == ErrorCode::kNoSpace;
    (*on_error_)(full ? EngineTrouble::kNoSpace : EngineTrouble::kFatal, error);
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (!*on_error_ || !info.new_bg_error.ok()) return;
    (*on_error_)(EngineTrouble::kRecovered,
                 Error(ErrorCode::kOk, "engine background work resumed"));
  }

 private:
  const std::shared_ptr<const TroubleAction> on_error_;
};

Result<CheckpointFile> DescribeFile(const Path& directory, const std::string& name) {
  const std::string path = (directory / name).string();
  auto file = OpenFile(path, O_RDONLY);
  if (!file) return Fail(std::move(file).error());
  CheckpointFile described;
  described.name = name;
  std::string buffer(1 << 20, '\0');
  while (true) {
    const ssize_t count = ::read(file->get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Fail(ErrnoError(errno, fmt::format("read {}", path)));
    if (count == 0) return described;
    const auto size = static_cast<size_t>(count);
    described.crc32c = ExtendCrc32c(described.crc32c, std::string_view(buffer).substr(0, size));
    described.size_bytes += size;
  }
}

}  // namespace

// The database and its handles; closed when the engine, all cursors and all pinned values are gone.
class RocksEngine::Impl {
 public:
  explicit Impl(RocksSettings settings)
      : settings_(std::move(settings)),
        cache_(rocksdb::NewLRUCache(settings_.block_cache_bytes, -1, /*strict=*/false)),
        file_system_(MakeRocksFileSystem(room_)),
        env_(rocksdb::NewCompositeEnv(file_system_)) {}
  ~Impl() {
    room_->Abandon();
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle);
    }
    if (db_ != nullptr) db_->Close().PermitUncheckedError();
    // What cannot be removed now, the next start removes.
    if (remove_when_closed_.load()) (void)RemoveAll(directory_.string());
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status Open(const Path& directory);
  void RemoveWhenClosed() { remove_when_closed_.store(true); }

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* handle(Table table) const {
    return handles_[static_cast<size_t>(table)];
  }
  std::vector<rocksdb::ColumnFamilyHandle*> tables() const {
    return {handles_.begin(), handles_.begin() + kTableCount};
  }
  const rocksdb::Cache& cache() const { return *cache_; }
  // The first and the last row in files; nullopt: there is none.
  std::optional<std::pair<std::string, std::string>> RowsOnDisk(Table table) const;

 private:
  RocksSettings settings_;
  std::shared_ptr<rocksdb::Cache> cache_;
  const std::shared_ptr<RoomWait> room_ = std::make_shared<RoomWait>();
  std::shared_ptr<rocksdb::FileSystem> file_system_;
  std::unique_ptr<rocksdb::Env> env_;
  Path directory_;
  std::atomic<bool> remove_when_closed_{false};
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kTableCount + 1> handles_{};  // and the default one
};

Status RocksEngine::Impl::Open(const Path& directory) {
  directory_ = directory;
  rocksdb::DBOptions options = MakeDbOptions(settings_);
  options.env = env_.get();
  auto on_error = std::make_shared<const TroubleAction>(std::move(settings_.on_error));
  options.listeners.push_back(std::make_shared<Listener>(on_error));
  room_->Arm([on_error](bool waits) {
    if (!*on_error) return;
    if (waits) {
      (*on_error)(EngineTrouble::kNoSpace,
                  Error(ErrorCode::kNoSpace, "a write of the engine waits for room"));
    } else {
      (*on_error)(EngineTrouble::kRecovered,
                  Error(ErrorCode::kOk, "writes of the engine have room again"));
    }
  });
  std::vector<rocksdb::ColumnFamilyDescriptor> tables;
  for (int i = 0; i < kTableCount; ++i) {
    const Table table = static_cast<Table>(i);
    tables.emplace_back(std::string(TableName(table)), MakeTableOptions(table, cache_));
  }
  // RocksDB insists on it; it stays empty.
  tables.emplace_back(rocksdb::kDefaultColumnFamilyName, MakeTableOptions(Table::kSys, cache_));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const std::string path = directory.string();
  const rocksdb::Status status =
      settings_.read_only ? rocksdb::DB::OpenForReadOnly(options, path, tables, &handles, &db)
                          : rocksdb::DB::Open(options, path, tables, &handles, &db);
  if (!status.ok()) return Fail(ToError(status, fmt::format("open state {}", path)));
  db_.reset(db);
  CHECK(handles.size() == handles_.size());
  std::copy(handles.begin(), handles.end(), handles_.begin());
  return Ok();
}

namespace {

class RocksBatch final : public WriteBatch {
 public:
  explicit RocksBatch(std::array<rocksdb::ColumnFamilyHandle*, kTableCount> tables)
      : tables_(tables) {}

  void Put(Table table, Key key, std::string_view value) override {
    Must(batch_.Put(tables_[static_cast<size_t>(table)], ToSlice(key), ToSlice(value)));
  }
  void Delete(Table table, Key key) override {
    Must(batch_.Delete(tables_[static_cast<size_t>(table)], ToSlice(key)));
  }
  void Clear() override { batch_.Clear(); }
  size_t count() const override { return static_cast<size_t>(batch_.Count()); }
  size_t size_bytes() const override { return batch_.GetDataSize(); }

  rocksdb::WriteBatch& batch() { return batch_; }

 private:
  // Filling a batch in memory fails only for arguments that are wrong.
  static void Must(const rocksdb::Status& status) { CHECK(status.ok(), "{}", status.ToString()); }

  std::array<rocksdb::ColumnFamilyHandle*, kTableCount> tables_;
  rocksdb::WriteBatch batch_;
};

class RocksCursor final : public Cursor {
 public:
  RocksCursor(std::shared_ptr<const void> owner, rocksdb::DB& db,
              rocksdb::ColumnFamilyHandle* table, Key from, Key to, const ScanOptions& options)
      : owner_(std::move(owner)), to_(to), upper_(to_) {
    rocksdb::ReadOptions read;
    read.fill_cache = options.fill_cache;
    read.readahead_size = options.readahead_bytes;
    if (!to_.empty()) read.iterate_upper_bound = &upper_;
    iterator_.reset(db.NewIterator(read, table));
    iterator_->Seek(ToSlice(from));
  }
  bool Valid() const override { return iterator_->Valid(); }
  void Next() override { iterator_->Next(); }
  Key key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  Status status() const override { return ToStatus(iterator_->status(), "engine scan"); }

 private:
  std::shared_ptr<const void> owner_;  // keeps the database open; destroyed after the iterator
  const std::string to_;
  const rocksdb::Slice upper_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

struct PinnedValue {
  std::shared_ptr<const void> owner;  // destroyed after the slice
  rocksdb::PinnableSlice slice;
};

SharedBytes ToShared(rocksdb::PinnableSlice slice, const std::shared_ptr<const void>& owner) {
  if (slice.size() < kPinBytesMin) return SharedBytes::Copy(ToView(slice));
  auto pinned = std::make_shared<PinnedValue>();
  pinned->owner = owner;
  pinned->slice = std::move(slice);
  const std::string_view view = ToView(pinned->slice);
  return SharedBytes::Slice(view, std::move(pinned));
}

}  // namespace

Result<std::unique_ptr<RocksEngine>> RocksEngine::Open(const Path& directory,
                                                       RocksSettings settings) {
  if (settings.create_if_missing && !settings.read_only) {
    RETURN_IF_ERROR(MakeDirs(directory.string()));
    RETURN_IF_ERROR(SyncDirectory(DirectoryOf(directory.string())));
  }
  auto impl = std::make_shared<Impl>(std::move(settings));
  RETURN_IF_ERROR(impl->Open(directory));
  return std::unique_ptr<RocksEngine>(new RocksEngine(std::move(impl)));
}

RocksEngine::~RocksEngine() = default;

void RocksEngine::RemoveWhenClosed() { impl_->RemoveWhenClosed(); }

std::unique_ptr<WriteBatch> RocksEngine::NewBatch() {
  return std::make_unique<RocksBatch>(std::array{
      impl_->handle(Table::kRev), impl_->handle(Table::kVal), impl_->handle(Table::kSys)});
}

Status RocksEngine::Write(WriteBatch& batch) {
  RETURN_IF_ERROR(FAILPOINT_STATUS("engine-write"));
  rocksdb::WriteOptions options;
  options.disableWAL = true;  // the raft log is the log
  const TimePoint began = write_timing_.Begin();
  const rocksdb::Status written =
      impl_->db().Write(options, &static_cast<RocksBatch&>(batch).batch());
  write_timing_.End(began);
  FAILPOINT("engine-written");
  return ToStatus(written, "engine write");
}

Result<std::optional<SharedBytes>> RocksEngine::Get(Table table, Key key, Tier tier) const {
  rocksdb::ReadOptions options;
  if (tier == Tier::kPersisted) options.read_tier = rocksdb::kPersistedTier;
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      impl_->db().Get(options, impl_->handle(table), ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<SharedBytes>();
  if (!status.ok()) return Fail(ToError(status, "engine get"));
  return std::optional<SharedBytes>(ToShared(std::move(value), impl_));
}

Status RocksEngine::MultiGet(Table table, std::span<const Key> keys,
                             std::span<std::optional<SharedBytes>> out) const {
  CHECK(keys.size() == out.size());
  if (keys.size() == 1) {  // without the sorting and the vectors
    auto value = Get(table, keys[0], Tier::kAll);
    RETURN_IF_ERROR(value);
    out[0] = std::move(*value);
    return Ok();
  }
  std::vector<rocksdb::Slice> slices;
  slices.reserve(keys.size());
  for (Key key : keys) slices.push_back(ToSlice(key));
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  impl_->db().MultiGet(rocksdb::ReadOptions(), impl_->handle(table), keys.size(), slices.data(),
                       values.data(), statuses.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) {
      out[i].reset();
    } else if (statuses[i].ok()) {
      out[i] = ToShared(std::move(values[i]), impl_);
    } else {
      return Fail(ToError(statuses[i], "engine get"));
    }
  }
  return Ok();
}

std::unique_ptr<Cursor> RocksEngine::Scan(Table table, Key from, Key to,
                                          const ScanOptions& options) const {
  return std::make_unique<RocksCursor>(impl_, impl_->db(), impl_->handle(table), from, to, options);
}

Status RocksEngine::Flush() {
  RETURN_IF_ERROR(FAILPOINT_STATUS("engine-flush"));
  rocksdb::FlushOptions options;
  options.wait = true;
  // Without it a flush waits for memory that only a flush can free.
  options.allow_write_stall = true;
  const rocksdb::Status status = impl_->db().Flush(options, impl_->tables());
  FAILPOINT("engine-flushed");
  return ToStatus(status, "engine flush");
}

Result<Checkpoint> RocksEngine::MakeCheckpoint(Path target) {
  RETURN_IF_ERROR(Flush());
  RETURN_IF_ERROR(MakeDirs(DirectoryOf(target.string())));
  rocksdb::Checkpoint* raw = nullptr;
  RETURN_IF_ERROR(ToStatus(rocksdb::Checkpoint::Create(&impl_->db(), &raw), "engine checkpoint"));
  std::unique_ptr<rocksdb::Checkpoint> maker(raw);
  RETURN_IF_ERROR(
      ToStatus(maker->CreateCheckpoint(target.string(), kFlushNothing), "engine checkpoint"));
  auto names = ListDirectory(target.string());
  if (!names) return Fail(std::move(names).error());
  Checkpoint checkpoint;
  checkpoint.directory = target;
  checkpoint.format = kRocksFormat;
  for (const std::string& name : *names) {
    auto file = DescribeFile(target, name);
    if (!file) return Fail(std::move(file).error());
    checkpoint.files.push_back(std::move(*file));
  }
  return checkpoint;
}

std::optional<std::pair<std::string, std::string>> RocksEngine::Impl::RowsOnDisk(
    Table table) const {
  rocksdb::ColumnFamilyMetaData files;
  db_->GetColumnFamilyMetaData(handle(table), &files);
  std::optional<std::pair<std::string, std::string>> rows;
  for (const rocksdb::LevelMetaData& level : files.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      if (!rows) rows.emplace(file.smallestkey, file.largestkey);
      rows->first = std::min(rows->first, file.smallestkey);
      rows->second = std::max(rows->second, file.largestkey);
    }
  }
  return rows;
}

// From the first row on disk to the last: of a range that no memtable has rows of RocksDB flushes
// nothing (kFlushNothing says why it must not). Each batch writes a row of kSys; its few rows are
// compacted as they come.
Status RocksEngine::CompactAll() {
  RETURN_IF_ERROR(Flush());
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;  // automatic ones go on beside it
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (const Table table : {Table::kRev, Table::kVal}) {
    const auto rows = impl_->RowsOnDisk(table);
    if (!rows) continue;
    const rocksdb::Slice first(rows->first);
    const rocksdb::Slice last(rows->second);
    RETURN_IF_ERROR(ToStatus(impl_->db().CompactRange(options, impl_->handle(table), &first, &last),
                             "engine compaction"));
    FAILPOINT("engine-compacted");
  }
  return Ok();
}

EngineSizes RocksEngine::Sizes() const {
  EngineSizes sizes;
  for (rocksdb::ColumnFamilyHandle* table : impl_->tables()) {
    uint64_t value = 0;
    if (impl_->db().GetIntProperty(table, rocksdb::DB::Properties::kTotalSstFilesSize, &value)) {
      sizes.disk_bytes += value;
    }
    if (impl_->db().GetIntProperty(table, rocksdb::DB::Properties::kEstimateLiveDataSize, &value)) {
      sizes.live_bytes += value;
    }
    if (impl_->db().GetIntProperty(table, rocksdb::DB::Properties::kSizeAllMemTables, &value)) {
      sizes.memtable_bytes += value;
    }
  }
  sizes.cache_bytes = impl_->cache().GetUsage();
  uint64_t indexes = 0;  // those of the other tables count as cache
  if (impl_->db().GetIntProperty(impl_->handle(Table::kVal),
                                 rocksdb::DB::Properties::kEstimateTableReadersMem, &indexes)) {
    sizes.cache_bytes += indexes;
  }
  return sizes;
}

}  // namespace store::engine
