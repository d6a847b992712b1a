// SPDX-License-Identifier: Apache-2.0
// RocksEngine: the Engine on disk: one RocksDB with three column families, its WAL off and atomic
// flush on, so that a crash leaves the state after some whole batch. Every option has its reason in
// rocks_options.cc. A value of 4 KiB or more is not copied: it keeps the block it was read in while
// the SharedBytes lives.
//
// Threads as engine.h. Background errors arrive on RocksDB's threads through Options::on_error.
// Bounded by: block cache of all tables but `val` (64 MiB, soft), memtables (128 MiB).
#pragma once

#include "store/base/timing.h"
#include "store/engine/engine.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <span>

namespace store::engine {

enum class EngineTrouble : uint8_t {
  kNoSpace,    // background work stopped because the disk is full; RocksDB resumes by itself
  kRecovered,  // it has resumed
  kFatal,      // any other I/O error or corruption: stop the member
};

struct RocksSettings {
  size_t block_cache_bytes = 64 << 20;
  size_t memtable_bytes_max = 128 << 20;
  size_t background_bytes_per_second = 64 << 20;
  bool create_if_missing = true;
  bool read_only = false;  // for inspection and for reading a checkpoint
  // Any thread, must not call the engine.
  absl::AnyInvocable<void(EngineTrouble, const Error&) const> on_error;
};

class RocksEngine final : public Engine {
 public:
  static Result<std::unique_ptr<RocksEngine>> Open(const Path& directory, RocksSettings settings);
  // Flushes nothing by itself: a clean stop calls Flush first.
  ~RocksEngine() override;
  RocksEngine(const RocksEngine&) = delete;
  RocksEngine& operator=(const RocksEngine&) = delete;

  std::unique_ptr<WriteBatch> NewBatch() override;
  Status Write(WriteBatch& batch) override;
  Result<std::optional<SharedBytes>> Get(Table table, Key key, Tier tier) const override;
  Status MultiGet(Table table, std::span<const Key> keys,
                  std::span<std::optional<SharedBytes>> out) const override;
  std::unique_ptr<Cursor> Scan(Table table, Key from, Key to,
                               const ScanOptions& options) const override;
  Status Flush() override;
  Result<Checkpoint> MakeCheckpoint(Path target) override;
  Status CompactAll() override;
  EngineSizes Sizes() const override;

  // It is the state no longer: the files go when the last cursor and pinned value have let go.
  void RemoveWhenClosed();
  // Before the first Write: how long each takes.
  void ObserveWrites(const Timing& timing) { write_timing_ = timing; }

 private:
  class Impl;

  explicit RocksEngine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  std::shared_ptr<Impl> impl_;  // shared with cursors and pinned values
  Timing write_timing_;
};

}  // namespace store::engine
