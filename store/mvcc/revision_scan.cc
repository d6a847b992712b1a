// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/revision_scan.h"

#include "store/base/check.h"

#include <fmt/format.h>

#include <utility>

namespace store::mvcc {

RevisionScan::RevisionScan(std::shared_ptr<const engine::Engine> engine, RecordId first,
                           Revision last)
    : engine_(std::move(engine)) {
  if (last < first.main) return;
  engine::ScanOptions options;
  options.fill_cache = false;
  cursor_ = engine_->Scan(engine::Table::kRev, RecordKey(first), RecordKey({last + 1, 0}), options);
  Parse();
}

void RevisionScan::Next() {
  CHECK(valid_);
  cursor_->Next();
  Parse();
}

void RevisionScan::Parse() {
  valid_ = false;
  if (!cursor_->Valid()) {
    status_ = cursor_->status();
    return;
  }
  const auto id = ParseRecordKey(cursor_->key());
  if (!id) {
    status_ = Fail(ErrorCode::kCorruption, "a row of table rev has a key that is not 12 bytes");
    return;
  }
  auto header = ParseRecordHeader(cursor_->value());
  if (!header) {
    status_ = Fail(header.error().WithContext(fmt::format("record {}.{}", id->main, id->sub)));
    return;
  }
  id_ = *id;
  header_ = *header;
  valid_ = true;
}

Result<Event> RevisionScan::Load() const {
  CHECK(valid_);
  Event event;
  event.type = type();
  event.id = id_;
  event.previous = header_.previous;
  event.kv.key = SharedBytes::Copy(header_.key);
  event.kv.mod = id_.main;
  if (header_.tombstone) return event;
  auto value = ReadValue(*engine_, id_, header_.value_size);
  if (!value) return Fail(std::move(value).error());
  event.kv.value = std::move(*value);
  event.kv.create = header_.create;
  event.kv.version = header_.version;
  event.kv.lease = header_.lease;
  return event;
}

Result<std::optional<KeyValue>> ReadRecord(const engine::Engine& engine, RecordId id) {
  auto row = engine.Get(engine::Table::kRev, RecordKey(id));
  if (!row) return Fail(std::move(row).error());
  if (!row->has_value()) return std::optional<KeyValue>();
  auto header = ParseRecordHeader(**row);
  if (!header) return Fail(std::move(header).error());
  if (header->tombstone) return std::optional<KeyValue>();
  auto value = ReadValue(engine, id, header->value_size);
  if (!value && value.error().code() == ErrorCode::kCompacted) return std::optional<KeyValue>();
  if (!value) return Fail(std::move(value).error());
  RETURN_IF_ERROR(CheckValue(*header, id, *value));
  KeyValue kv;
  kv.key = SharedBytes::Copy(header->key);
  kv.value = std::move(*value);
  kv.create = header->create;
  kv.mod = id.main;
  kv.version = header->version;
  kv.lease = header->lease;
  return std::optional<KeyValue>(std::move(kv));
}

Result<SharedBytes> ReadValue(const engine::Engine& engine, RecordId id, uint32_t value_size) {
  if (value_size == 0) return SharedBytes();
  auto value = engine.Get(engine::Table::kVal, RecordKey(id));
  if (!value) return Fail(std::move(value).error());
  if (!value->has_value()) return Fail(ErrorCode::kCompacted);
  if ((*value)->size() != value_size) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("value of record {}.{} has {} bytes, expected {}", id.main, id.sub,
                            (*value)->size(), value_size));
  }
  return std::move(**value);
}

}  // namespace store::mvcc
