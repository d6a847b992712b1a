// SPDX-License-Identifier: Apache-2.0
// MvccStore::Writer: what only the apply thread touches: the working index and the events of the
// running batch, which Publish hands out; until the batch is in the engine, its values can be read
// nowhere else. Private to store/mvcc. Bounded by the apply batch.
#pragma once

#include "store/mvcc/key_index.h"
#include "store/mvcc/mvcc_store.h"
#include "store/mvcc/range_reader.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace store::mvcc {

class MvccStore::Writer {
 public:
  Writer() : index(std::make_unique<KeyIndex>()) {}

  // Writes the record of one change to `batch`, the index and the events. `old`: what
  // the index says of the key.
  void Change(engine::WriteBatch& batch, KeyMeta* old, SharedBytes key, SharedBytes value,
              const KeyFacts& facts);
  // Of a record of the running batch; null: it is older, or its value is empty.
  const SharedBytes* BatchValue(RecordId id) const;
  // Values of the batch first, the rest from the engine.
  Status Load(std::span<RangeRow> rows) const;

  std::unique_ptr<KeyIndex> index;
  std::shared_ptr<engine::Engine> engine;
  std::vector<Event> events;  // by id
  size_t event_bytes = 0;
  uint64_t live_bytes = 0;
  std::string scratch;  // header bytes
};

}  // namespace store::mvcc
