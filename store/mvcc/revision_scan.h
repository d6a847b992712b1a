// SPDX-License-Identifier: Apache-2.0
// RevisionScan: the history of revisions [first, last] in the order it happened, headers first; the
// value of a record is read only when asked for. Made by MvccStore::Scan; sees the engine as it was
// then and keeps it open. Rows that compaction has removed are simply not there: whoever needs
// every event compares MvccStore::compacted() with the revision it started from *after* reading a
// slice (etcd #17780, #18089). One thread at a time, any thread.
#pragma once

#include "store/base/bytes.h"
#include "store/base/error.h"
#include "store/engine/engine.h"
#include "store/mvcc/event.h"
#include "store/mvcc/record.h"
#include "store/mvcc/revision.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace store::mvcc {

class RevisionScan {
 public:
  RevisionScan(std::shared_ptr<const engine::Engine> engine, Revision first, Revision last)
      : RevisionScan(std::move(engine), RecordId{first, 0}, last) {}
  // From inside of a revision on.
  RevisionScan(std::shared_ptr<const engine::Engine> engine, RecordId first, Revision last);

  // On a record. False at the end and after an error: look at status().
  bool Valid() const { return valid_; }
  void Next();
  const Status& status() const { return status_; }

  RecordId id() const { return id_; }
  const RecordHeader& header() const { return header_; }  // header().key lives until Next
  EventType type() const { return header_.tombstone ? EventType::kDelete : EventType::kPut; }
  // Bytes of key and value, known without reading the value.
  size_t size_bytes() const { return header_.key.size() + header_.value_size; }

  // The whole event; reads the value of a put. kCompacted if the value is gone.
  Result<Event> Load() const;

 private:
  void Parse();

  std::shared_ptr<const engine::Engine> engine_;
  std::unique_ptr<engine::Cursor> cursor_;
  bool valid_ = false;
  Status status_;
  RecordId id_;
  RecordHeader header_;
};

// The record `id` as clients see it, with its value; nullopt when compaction removed it or it is a
// tombstone.
Result<std::optional<KeyValue>> ReadRecord(const engine::Engine& engine, RecordId id);
// The value bytes of a record of `value_size` bytes, without its header. kCompacted when they are
// gone.
Result<SharedBytes> ReadValue(const engine::Engine& engine, RecordId id, uint32_t value_size);

}  // namespace store::mvcc
