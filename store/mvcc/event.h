// SPDX-License-Identifier: Apache-2.0
// What the key space tells others: the facts of a key, a key with its value, one change, and the
// changes of whole revisions as one immutable batch. Bytes are shared with the log entry or the
// engine, never copied. Values; an EventBatch is immutable once published and may be held by any
// thread.
#pragma once

#include "store/base/bytes.h"
#include "store/base/ids.h"
#include "store/mvcc/revision.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace store::mvcc {

// What the index knows without the disk.
struct KeyFacts {
  Revision create;
  RecordId mod;
  int64_t version = 0;
  LeaseId lease;
  uint32_t value_size = 0;
};

struct KeyValue {
  SharedBytes key;
  SharedBytes value;
  Revision create;
  Revision mod;
  int64_t version = 0;
  LeaseId lease;
};

enum class EventType : uint8_t { kPut, kDelete };

// A delete carries only key and mod in `kv`, as clients see it.
struct Event {
  EventType type = EventType::kPut;
  KeyValue kv;
  RecordId id;
  RecordId previous;  // the record this one replaced; not valid() when the key did not exist
};

// Events of the revisions [first, last], whole and in order. Published also when empty, with the
// current revision in `last`, so that the hub knows what "now" is.
struct EventBatch {
  Revision first;
  Revision last;
  std::vector<Event> events;
  size_t bytes = 0;  // keys and values, for the hub's queue limit
};
using EventBatchPtr = std::shared_ptr<const EventBatch>;

}  // namespace store::mvcc
