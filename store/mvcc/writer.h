// SPDX-License-Identifier: Apache-2.0
// MvccStore::Writer: what only the apply thread touches: the working index, the values of the
// running batch (until the batch is in the engine they can be read nowhere else) and the events
// that Publish hands out. Private to store/mvcc. Bounded by the apply batch.
#pragma once

#include "store/mvcc/key_index.h"
#include "store/mvcc/mvcc_store.h"
#include "store/mvcc/range_reader.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace store::mvcc {

class MvccStore::Writer {
 public:
  Writer() : index(std::make_unique<KeyIndex>()) {}

  // Writes the record of one change to `batch`, the index, the overlay and the events. `old`: what
  // the index says of the key.
  void Change(engine::WriteBatch& batch, KeyMeta* old, SharedBytes key, SharedBytes value,
              const KeyFacts& facts);
  const SharedBytes* BatchValue(RecordId id) const {
    auto it = values.find({id.main.value(), id.sub});
    return it == values.end() ? nullptr : &it->second;
  }
  // Values of the batch first, the rest from the engine.
  Status Load(std::span<RangeRow> rows) const;

  std::unique_ptr<KeyIndex> index;
  std::shared_ptr<engine::Engine> engine;
  absl::flat_hash_map<std::pair<int64_t, uint32_t>, SharedBytes> values;
  std::vector<Event> events;
  size_t event_bytes = 0;
  uint64_t live_bytes = 0;
  std::string scratch;  // header bytes
};

}  // namespace store::mvcc
