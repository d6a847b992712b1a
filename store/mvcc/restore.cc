// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/restore.h"

#include "store/base/coding.h"
#include "store/engine/sys_keys.h"
#include "store/mvcc/read_ahead.h"
#include "store/mvcc/record.h"

#include <fmt/format.h>

#include <algorithm>

namespace store::mvcc {
namespace {

Result<Revision> ReadCompactRow(const engine::Engine& engine, const std::string& key) {
  auto row = engine.Get(engine::Table::kSys, key);
  if (!row) return Fail(std::move(row).error());
  if (!row->has_value()) return Revision(-1);
  if ((*row)->size() != 8) return Fail(ErrorCode::kCorruption, "row of sys/compact is not 8 bytes");
  return Revision(static_cast<int64_t>(LoadBigEndian64((*row)->data())));
}

}  // namespace

Result<Restored> RestoreIndex(const engine::Engine& engine) {
  Restored restored;
  auto scheduled = ReadCompactRow(engine, CompactScheduledKey());
  if (!scheduled) return Fail(std::move(scheduled).error());
  auto finished = ReadCompactRow(engine, CompactFinishedKey());
  if (!finished) return Fail(std::move(finished).error());
  restored.scheduled = *scheduled;
  restored.finished = *finished;
  restored.index = std::make_unique<KeyIndex>();

  KeyIndex::Loader loader(*restored.index);
  ReadAhead history(engine);
  while (auto batch = history.Next()) {
    std::string_view keys = batch->keys;
    for (const auto& [facts, key_size] : batch->rows) {
      if (!loader.Add(keys.substr(0, key_size), facts)) {
        return Fail(ErrorCode::kCorruption,
                    fmt::format("record {}.{} is out of order", facts.mod.main, facts.mod.sub));
      }
      keys.remove_prefix(key_size);
      restored.live_bytes += RecordBytes(key_size, facts.value_size);
      restored.current = facts.mod.main;
    }
  }
  RETURN_IF_ERROR(history.status());
  loader.Finish();
  restored.current = std::max({restored.current, restored.scheduled, Revision(1)});
  for (const Garbage& garbage : restored.index->TakeGarbage()) garbage.deleter(garbage.object);
  return restored;
}

std::string CompactScheduledKey() { return engine::SysKey(engine::SysSection::kCompact, "s"); }
std::string CompactFinishedKey() { return engine::SysKey(engine::SysSection::kCompact, "f"); }

std::string CompactRow(Revision revision) {
  std::string row;
  AppendBigEndian64(&row, static_cast<uint64_t>(revision.value()));
  return row;
}

}  // namespace store::mvcc
