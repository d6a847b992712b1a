// SPDX-License-Identifier: Apache-2.0
// Restore: the index and the counters from the headers in an engine; values are not read. Also the
// two rows of sys/compact, which mvcc owns. The newest revision is the last header's or, when
// everything was compacted away, the scheduled compaction's (etcd #17780). Apply thread (or before
// it runs).
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/engine/engine.h"
#include "store/mvcc/key_index.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace store::mvcc {

struct Restored {
  std::unique_ptr<KeyIndex> index;
  Revision current{1};
  Revision scheduled{-1};  // newest logical compaction; -1: never
  Revision finished{-1};   // collection is complete up to here
  uint64_t live_bytes = 0;
};

Result<Restored> RestoreIndex(const engine::Engine& engine);

// sys/compact "s" (scheduled, replicated) and "f" (finished, this member's).
std::string CompactScheduledKey();
std::string CompactFinishedKey();
std::string CompactRow(Revision revision);

}  // namespace store::mvcc
