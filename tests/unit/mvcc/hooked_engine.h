// SPDX-License-Identifier: Apache-2.0
// An engine in memory that lets a test do something at the moment a reader asks it: what another
// thread may do between two steps of a reader happens there, in one thread. A hook runs once.
#pragma once

#include "store/base/executor.h"
#include "store/engine/mem_engine.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace store::mvcc {

class HookedEngine final : public engine::Engine {
 public:
  // Before the next Get or MultiGet of, or the next cursor over, that table.
  void BeforeGet(engine::Table table, Action hook) { get_ = {table, std::move(hook)}; }
  void BeforeMultiGet(engine::Table table, Action hook) { multi_get_ = {table, std::move(hook)}; }
  void BeforeScan(engine::Table table, Action hook) { scan_ = {table, std::move(hook)}; }
  // Where the last cursor began.
  const std::string& scanned_from() const { return scanned_from_; }

  std::unique_ptr<engine::WriteBatch> NewBatch() override { return rows_.NewBatch(); }
  Status Write(engine::WriteBatch& batch) override { return rows_.Write(batch); }
  Result<std::optional<SharedBytes>> Get(engine::Table table, engine::Key key,
                                         engine::Tier tier) const override {
    RunOnce(get_, table);
    return rows_.Get(table, key, tier);
  }
  Status MultiGet(engine::Table table, std::span<const engine::Key> keys,
                  std::span<std::optional<SharedBytes>> out) const override {
    RunOnce(multi_get_, table);
    return rows_.MultiGet(table, keys, out);
  }
  std::unique_ptr<engine::Cursor> Scan(engine::Table table, engine::Key from, engine::Key to,
                                       const engine::ScanOptions& options) const override {
    RunOnce(scan_, table);
    scanned_from_ = std::string(from);
    return rows_.Scan(table, from, to, options);
  }
  Status Flush() override { return rows_.Flush(); }
  Result<engine::Checkpoint> MakeCheckpoint(engine::Path target) override {
    return rows_.MakeCheckpoint(std::move(target));
  }
  Status CompactAll() override { return rows_.CompactAll(); }
  engine::EngineSizes Sizes() const override { return rows_.Sizes(); }

 private:
  using Hook = std::optional<std::pair<engine::Table, Action>>;
  static void RunOnce(Hook& hook, engine::Table table) {
    if (!hook || hook->first != table) return;
    auto run = std::exchange(hook, std::nullopt);
    run->second();
  }

  engine::MemEngine rows_;
  mutable Hook get_;
  mutable Hook multi_get_;
  mutable Hook scan_;
  mutable std::string scanned_from_;
};

}  // namespace store::mvcc
