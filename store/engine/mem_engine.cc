// SPDX-License-Identifier: Apache-2.0
#include "store/engine/mem_engine.h"

#include "store/base/check.h"
#include "store/base/coding.h"
#include "store/base/crc32c.h"
#include "store/base/file.h"
#include "store/base/thread.h"

#include <absl/container/inlined_vector.h>
#include <fmt/format.h>

#include <array>
#include <map>
#include <set>
#include <utility>

namespace store::engine {
namespace {

constexpr const char* kCheckpointFile = "rows";

struct Operation {
  Table table;
  std::string key;
  std::optional<SharedBytes> value;  // nullopt: delete
};

class MemBatch final : public WriteBatch {
 public:
  void Put(Table table, Key key, std::string_view value) override {
    size_bytes_ += key.size() + value.size();
    operations_.push_back({table, std::string(key), SharedBytes::Copy(value)});
  }
  void Delete(Table table, Key key) override {
    size_bytes_ += key.size();
    operations_.push_back({table, std::string(key), std::nullopt});
  }
  void Clear() override {
    operations_.clear();
    size_bytes_ = 0;
  }
  size_t count() const override { return operations_.size(); }
  size_t size_bytes() const override { return size_bytes_; }

  const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::vector<Operation> operations_;
  size_t size_bytes_ = 0;
};

struct Version {
  uint64_t sequence;
  std::optional<SharedBytes> value;  // nullopt: deleted
};
using Row = absl::InlinedVector<Version, 2>;  // ascending sequences
using RowMap = std::map<std::string, Row, std::less<>>;

const Version* VersionAt(const Row& row, uint64_t sequence) {
  for (auto it = row.rbegin(); it != row.rend(); ++it) {
    if (it->sequence <= sequence) return &*it;
  }
  return nullptr;
}

}  // namespace

// The rows with their versions. A version is kept while the newest state, the flushed one or an
// open cursor sees it. Map nodes are erased only while no cursor is open, so cursors may keep
// iterators and keys.
class MemEngine::Tables {
 public:
  void Write(const std::vector<Operation>& operations) {
    MutexLock lock(mutex_);
    ++sequence_;
    for (const Operation& operation : operations) Apply(operation);
  }

  std::optional<SharedBytes> Get(Table table, Key key, Tier tier) const {
    MutexLock lock(mutex_);
    const RowMap& rows = maps_[static_cast<size_t>(table)];
    auto it = rows.find(key);
    if (it == rows.end()) return std::nullopt;
    const Version* version = VersionAt(it->second, tier == Tier::kPersisted ? flushed_ : sequence_);
    return version == nullptr ? std::nullopt : version->value;
  }

  void Flush() {
    MutexLock lock(mutex_);
    flushed_ = sequence_;
    flushed_bytes_ = live_bytes_;
    for (const auto& [table, key] : dirty_) {
      RowMap& rows = maps_[static_cast<size_t>(table)];
      auto it = rows.find(key);
      if (it == rows.end()) continue;
      Prune(it->second);
      const bool gone = it->second.size() == 1 && !it->second.front().value.has_value();
      if (gone && cursors_.empty()) rows.erase(it);
    }
    // Rows that an open cursor still sees are looked at again by the next flush.
    if (cursors_.empty()) dirty_.clear();
  }

  template <class Visit>
  void ForEachFlushed(Visit visit) const {
    MutexLock lock(mutex_);
    for (size_t table = 0; table < kTableCount; ++table) {
      for (const auto& [key, row] : maps_[table]) {
        const Version* version = VersionAt(row, flushed_);
        if (version != nullptr && version->value)
          visit(static_cast<Table>(table), key, *version->value);
      }
    }
  }

  EngineSizes Sizes() const {
    MutexLock lock(mutex_);
    EngineSizes sizes;
    sizes.disk_bytes = flushed_bytes_;
    sizes.live_bytes = live_bytes_;
    sizes.memtable_bytes = live_bytes_ > flushed_bytes_ ? live_bytes_ - flushed_bytes_ : 0;
    return sizes;
  }

 private:
  friend class MemEngine::RowCursor;

  void Apply(const Operation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Row& row = maps_[static_cast<size_t>(operation.table)][operation.key];
    if (!row.empty() && row.back().value) {
      live_bytes_ -= operation.key.size() + row.back().value->size();
    }
    if (operation.value) live_bytes_ += operation.key.size() + operation.value->size();
    if (!row.empty() && row.back().sequence == sequence_) row.pop_back();
    row.push_back({sequence_, operation.value});
    Prune(row);
    dirty_.emplace(operation.table, operation.key);
  }

  // Drops versions that a newer one hides from the flushed state and from every cursor.
  void Prune(Row& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Row kept;
    for (size_t i = 0; i < row.size(); ++i) {
      const bool newest = i + 1 == row.size();
      if (newest || Seen(row[i].sequence, row[i + 1].sequence)) kept.push_back(std::move(row[i]));
    }
    row = std::move(kept);
  }
  bool Seen(uint64_t from, uint64_t to) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (flushed_ >= from && flushed_ < to) return true;
    auto cursor = cursors_.lower_bound(from);
    return cursor != cursors_.end() && *cursor < to;
  }

  mutable Mutex mutex_;
  std::array<RowMap, kTableCount> maps_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<Table, std::string>> dirty_ ABSL_GUARDED_BY(mutex_);  // since the last flush
  std::multiset<uint64_t> cursors_ ABSL_GUARDED_BY(mutex_);  // sequences of the open ones
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t flushed_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t live_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t flushed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

class MemEngine::RowCursor final : public Cursor {
 public:
  RowCursor(std::shared_ptr<Tables> tables, Table table, Key from, Key to)
      : tables_(std::move(tables)), table_(table), to_(to) {
    MutexLock lock(tables_->mutex_);
    sequence_ = tables_->sequence_;
    tables_->cursors_.insert(sequence_);
    position_ = rows().lower_bound(from);
    Settle();
  }
  ~RowCursor() override {
    MutexLock lock(tables_->mutex_);
    tables_->cursors_.erase(tables_->cursors_.find(sequence_));
  }

  bool Valid() const override { return valid_; }
  void Next() override {
    CHECK(valid_);
    MutexLock lock(tables_->mutex_);
    ++position_;
    Settle();
  }
  Key key() const override { return key_; }
  std::string_view value() const override { return value_; }
  Status status() const override { return Ok(); }

 private:
  RowMap& rows() ABSL_EXCLUSIVE_LOCKS_REQUIRED(tables_->mutex_) {
    return tables_->maps_[static_cast<size_t>(table_)];
  }
  // Moves on to the first row that exists at sequence_.
  void Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(tables_->mutex_) {
    for (; position_ != rows().end(); ++position_) {
      if (!to_.empty() && position_->first >= to_) break;
      const Version* version = VersionAt(position_->second, sequence_);
      if (version == nullptr || !version->value) continue;
      key_ = position_->first;
      value_ = *version->value;
      valid_ = true;
      return;
    }
    valid_ = false;
  }

  std::shared_ptr<Tables> tables_;
  const Table table_;
  const std::string to_;
  uint64_t sequence_ = 0;
  RowMap::iterator position_;
  bool valid_ = false;
  std::string_view key_;  // in the map's node, which stays while this cursor is open
  SharedBytes value_;
};

MemEngine::MemEngine() : tables_(std::make_shared<Tables>()) {}
MemEngine::~MemEngine() = default;

std::unique_ptr<MemEngine> MemEngine::AfterCrash() const {
  auto engine = std::make_unique<MemEngine>();
  std::vector<Operation> rows;
  tables_->ForEachFlushed([&rows](Table table, const std::string& key, const SharedBytes& value) {
    rows.push_back({table, key, value});
  });
  engine->tables_->Write(rows);
  engine->tables_->Flush();
  return engine;
}

Result<std::unique_ptr<MemEngine>> MemEngine::OpenCheckpoint(const Path& directory) {
  const std::string path = (directory / kCheckpointFile).string();
  auto bytes = ReadFile(path);
  if (!bytes) return Fail(bytes.error());
  return FromRows(*bytes, path);
}

Result<std::unique_ptr<MemEngine>> MemEngine::FromRows(std::string_view bytes,
                                                       std::string_view where) {
  std::vector<Operation> rows;
  ByteReader reader(bytes);
  while (!reader.empty()) {
    uint8_t table = 0;
    std::string_view key;
    std::string_view value;
    if (!reader.ReadU8(&table) || table >= kTableCount || !reader.ReadLengthPrefixed(&key) ||
        !reader.ReadLengthPrefixed(&value)) {
      return Fail(ErrorCode::kCorruption,
                  fmt::format("{}: bad row near {}", where, reader.position()));
    }
    rows.push_back({static_cast<Table>(table), std::string(key), SharedBytes::Copy(value)});
  }
  auto engine = std::make_unique<MemEngine>();
  engine->tables_->Write(rows);
  engine->tables_->Flush();
  return engine;
}

std::unique_ptr<WriteBatch> MemEngine::NewBatch() { return std::make_unique<MemBatch>(); }

Status MemEngine::Write(WriteBatch& batch) {
  if (full_.load(std::memory_order_relaxed))
    return Fail(ErrorCode::kNoSpace, "memory engine is full");
  tables_->Write(static_cast<MemBatch&>(batch).operations());
  return Ok();
}

Result<std::optional<SharedBytes>> MemEngine::Get(Table table, Key key, Tier tier) const {
  return tables_->Get(table, key, tier);
}

Status MemEngine::MultiGet(Table table, std::span<const Key> keys,
                           std::span<std::optional<SharedBytes>> out) const {
  CHECK(keys.size() == out.size());
  for (size_t i = 0; i < keys.size(); ++i) out[i] = tables_->Get(table, keys[i], Tier::kAll);
  return Ok();
}

std::unique_ptr<Cursor> MemEngine::Scan(Table table, Key from, Key to, const ScanOptions&) const {
  return std::make_unique<RowCursor>(tables_, table, from, to);
}

Status MemEngine::Flush() {
  if (full_.load(std::memory_order_relaxed))
    return Fail(ErrorCode::kNoSpace, "memory engine is full");
  tables_->Flush();
  return Ok();
}

std::string MemEngine::FlushedRows() const {
  std::string bytes;
  tables_->ForEachFlushed([&bytes](Table table, const std::string& key, const SharedBytes& value) {
    AppendU8(&bytes, static_cast<uint8_t>(table));
    AppendLengthPrefixed(&bytes, key);
    AppendLengthPrefixed(&bytes, value);
  });
  return bytes;
}

Result<Checkpoint> MemEngine::MakeCheckpoint(Path target) {
  RETURN_IF_ERROR(Flush());
  const std::string bytes = FlushedRows();
  if (FileExists(target.string())) {
    return Fail(ErrorCode::kAlreadyExists, fmt::format("checkpoint {}: exists", target.string()));
  }
  RETURN_IF_ERROR(MakeDirs(target.string()));
  RETURN_IF_ERROR(ReplaceFile((target / kCheckpointFile).string(), bytes));
  Checkpoint checkpoint;
  checkpoint.directory = target;
  checkpoint.format = kMemFormat;
  checkpoint.files.push_back({kCheckpointFile, bytes.size(), Crc32c(bytes)});
  return checkpoint;
}

Status MemEngine::CompactAll() { return Flush(); }
EngineSizes MemEngine::Sizes() const { return tables_->Sizes(); }

}  // namespace store::engine
