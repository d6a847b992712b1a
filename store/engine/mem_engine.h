// SPDX-License-Identifier: Apache-2.0
// MemEngine: an Engine in memory for tests and the simulator: ordered maps with several versions
// per row, so that cursors see the state of their creation and Tier::kPersisted the state of the
// last Flush. A crash is AfterCrash(): what a disk would hold then. SetFull makes Write refuse with
// kNoSpace.
//
// Threads as engine.h; one mutex guards the maps. Unbounded by itself: tests bound what they put
// in.
#pragma once

#include "store/engine/engine.h"

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace store::engine {

class MemEngine final : public Engine {
 public:
  MemEngine();
  ~MemEngine() override;
  MemEngine(const MemEngine&) = delete;
  MemEngine& operator=(const MemEngine&) = delete;

  // A new engine with exactly the state of the last Flush (or of this moment after a clean stop).
  std::unique_ptr<MemEngine> AfterCrash() const;
  // Reads what MakeCheckpoint wrote.
  static Result<std::unique_ptr<MemEngine>> OpenCheckpoint(const Path& directory);
  // The same without files: the rows of the last Flush, and an engine of them, flushed. `where`
  // names them in an error (kCorruption).
  std::string FlushedRows() const;
  static Result<std::unique_ptr<MemEngine>> FromRows(std::string_view rows, std::string_view where);
  void SetFull(bool full) { full_.store(full, std::memory_order_relaxed); }

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

 private:
  class Tables;
  class RowCursor;

  std::shared_ptr<Tables> tables_;  // shared with cursors
  std::atomic<bool> full_{false};
};

}  // namespace store::engine
