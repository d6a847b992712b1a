// SPDX-License-Identifier: Apache-2.0
// A read of a key range at one revision: what may be asked and what comes back. Every option of
// RangeRequest is here; static validation (empty key, unknown sort option) is the caller's. Values.
#pragma once

#include "store/base/ids.h"
#include "store/base/key_range.h"
#include "store/mvcc/event.h"

#include <cstdint>
#include <vector>

namespace store::mvcc {

enum class SortOrder : uint8_t { kNone, kAscend, kDescend };
enum class SortTarget : uint8_t { kKey, kVersion, kCreate, kMod, kValue };

struct RangeQuery {
  KeyRange range;
  Revision at;        // <= 0: newest
  int64_t limit = 0;  // <= 0: none
  SortOrder order = SortOrder::kNone;
  SortTarget target = SortTarget::kKey;
  bool keys_only = false;  // values empty, and (as etcd 3.7) lease 0 unless sorted by value
  bool count_only = false;
  bool uncounted = false;  // for pages: no count, which at an old revision walks the whole range
  Revision min_mod;        // 0: off; inclusive
  Revision max_mod;
  Revision min_create;
  Revision max_create;
};

struct RangeResult {
  std::vector<KeyValue> kvs;
  int64_t count = 0;  // keys in the range at that revision, whatever limit and filters say
  bool more = false;
  Revision current;  // revision of the store when it was read: the header's
};

}  // namespace store::mvcc
