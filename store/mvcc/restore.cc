// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/restore.h"

#include "store/base/coding.h"
#include "store/engine/sys_keys.h"
#include "store/mvcc/record.h"
#include "store/mvcc/revision.h"
#include "store/mvcc/revision_scan.h"

#include <fmt/format.h>

#include <algorithm>

namespace store::mvcc {
namespace {

constexpr Revision kLastRevision{INT64_MAX - 1};

Result<Revision> ReadCompactRow(const engine::Engine& engine, const std::string& key) {
  auto row = engine.Get(engine::Table::kSys, key);
  if (!row) return Fail(std::move(row).error());
  if (!row->has_value()) return Revision(-1);
  if ((*row)->size() != 8) return Fail(ErrorCode::kCorruption, "row of sys/compact is not 8 bytes");
  return Revision(static_cast<int64_t>(LoadBigEndian64((*row)->data())));
}

KeyFacts FactsOf(RecordId id, const RecordHeader& header) {
  KeyFacts facts;
  facts.mod = id;
  if (header.tombstone) return facts;
  facts.create = header.create;
  facts.version = header.version;
  facts.lease = header.lease;
  facts.value_size = header.value_size;
  return facts;
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
  // The engine is the caller's for longer than the scan: no share is needed.
  RevisionScan scan(std::shared_ptr<const engine::Engine>(std::shared_ptr<void>(), &engine),
                    Revision(0), kLastRevision);
  for (; scan.Valid(); scan.Next()) {
    const RecordHeader& header = scan.header();
    if (!loader.Add(header.key, FactsOf(scan.id(), header))) {
      return Fail(ErrorCode::kCorruption,
                  fmt::format("record {}.{} is out of order", scan.id().main, scan.id().sub));
    }
    restored.live_bytes += RecordBytes(header.key.size(), header.value_size);
    restored.current = scan.id().main;
  }
  RETURN_IF_ERROR(scan.status());
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
