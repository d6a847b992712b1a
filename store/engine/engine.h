// SPDX-License-Identifier: Apache-2.0
// Engine: the door to the state on disk. Three tables of ordered keys; a WriteBatch is atomic over
// them and becomes durable only with Flush, which cuts all tables at one point. After a crash the
// state is exactly the state after some batch (3.3 of the design): the batch carries sys/applied,
// and the raft log replays the rest. Two implementations: RocksEngine, and MemEngine, whose crash
// goes back to the last flush.
//
// Threads: two writers, apply and the revision collector, which may write at the same time. Get,
// MultiGet, Scan, Sizes from any thread at any time. Flush, CompactAll and MakeCheckpoint from the
// maintenance pool, never from apply. Errors of Write other than kNoSpace are fatal for the caller.
// A refused kNoSpace batch is in no memtable and may be offered again.
#pragma once

#include "store/base/bytes.h"
#include "store/base/error.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::engine {

using Key = std::string_view;
using Path = std::filesystem::path;

enum class Table : uint8_t {
  kRev = 0,  // revision -> header of the change
  kVal = 1,  // revision -> value bytes
  kSys = 2,  // section byte + key -> everything else
};
inline constexpr int kTableCount = 3;

enum class Tier : uint8_t {
  kAll,        // memtables included
  kPersisted,  // only what a crash now would leave: the durable applied index is read with this
};

class WriteBatch {
 public:
  // Bytes are copied into the batch once.
  virtual void Put(Table table, Key key, std::string_view value) = 0;
  virtual void Delete(Table table, Key key) = 0;
  virtual void Clear() = 0;
  virtual size_t count() const = 0;
  virtual size_t size_bytes() const = 0;
  virtual ~WriteBatch() = default;
};

// Positioned on a row while Valid(); key() and value() live until the next move. Sees the engine as
// it was when Scan was called.
class Cursor {
 public:
  virtual bool Valid() const = 0;
  virtual void Next() = 0;
  virtual Key key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;  // look at it when Valid() turns false
  virtual ~Cursor() = default;
};

struct ScanOptions {
  bool fill_cache = true;      // false for long one-time scans
  size_t readahead_bytes = 0;  // 0: the engine decides
};

struct EngineSizes {
  uint64_t disk_bytes = 0;  // files
  uint64_t live_bytes = 0;  // estimate of what a full compaction would leave
  uint64_t memtable_bytes = 0;
  uint64_t cache_bytes = 0;
};

struct CheckpointFile {
  std::string name;
  uint64_t size_bytes = 0;
  uint32_t crc32c = 0;
};
// Whose files they are; part of what a member tells another one. Never renumber.
inline constexpr uint32_t kMemFormat = 1;
inline constexpr uint32_t kRocksFormat = 2;
struct Checkpoint {
  Path directory;
  uint32_t format = 0;
  std::vector<CheckpointFile> files;
};

class Engine {
 public:
  virtual std::unique_ptr<WriteBatch> NewBatch() = 0;
  virtual Status Write(WriteBatch& batch) = 0;
  virtual Result<std::optional<SharedBytes>> Get(Table table, Key key,
                                                 Tier tier = Tier::kAll) const = 0;
  // out[i] belongs to keys[i]; an absent key is nullopt.
  virtual Status MultiGet(Table table, std::span<const Key> keys,
                          std::span<std::optional<SharedBytes>> out) const = 0;
  // Rows with from <= key < to, ascending; an empty `to` is "to the end".
  virtual std::unique_ptr<Cursor> Scan(Table table, Key from, Key to,
                                       const ScanOptions& options) const = 0;
  virtual Status Flush() = 0;
  virtual Result<Checkpoint> MakeCheckpoint(Path target) = 0;
  // Tables kRev and kVal. Meanwhile apply may write, the collector not: its rows are old ones.
  virtual Status CompactAll() = 0;
  virtual EngineSizes Sizes() const = 0;
  virtual ~Engine() = default;
};

}  // namespace store::engine
