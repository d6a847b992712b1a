// SPDX-License-Identifier: Apache-2.0
// ReadAhead: the headers of an engine's whole history in batches, read by a thread of its own that
// stays some batches ahead of the caller: a restart reads rows out of the engine for about as long
// as it makes an index of them (tests/bench has the figures). A history of one batch is read by the
// caller itself and starts no thread. Bounded: kBatchesAhead batches and one in each one's hands,
// of kBatchRows rows or kBatchBytes of keys. One caller, any thread; sees the engine as it was when
// this was made.
#pragma once

#include "store/base/error.h"
#include "store/base/thread.h"
#include "store/engine/engine.h"
#include "store/mvcc/event.h"
#include "store/mvcc/revision_scan.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace store::mvcc {

class ReadAhead {
 public:
  static constexpr size_t kBatchRows = 4096;
  static constexpr size_t kBatchBytes = size_t{1} << 20;
  static constexpr size_t kBatchesAhead = 4;

  struct Row {
    KeyFacts facts;  // version 0: a tombstone
    uint32_t key_size;
  };
  struct Batch {
    std::vector<Row> rows;  // in the order of history
    std::string keys;       // of all rows, one behind the other
  };

  // `engine` outlives this.
  explicit ReadAhead(const engine::Engine& engine);
  // Need not have come to the end.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Never empty. nullopt: the end, or an error before which all batches were given: status().
  std::optional<Batch> Next();
  const Status& status() const { return status_; }

 private:
  Batch ReadBatch();
  void Run();

  RevisionScan scan_;  // the thread's once it runs, the caller's again when it has ended
  Status status_;
  bool first_ = true;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Batch> ahead_ ABSL_GUARDED_BY(mutex_);  // <= kBatchesAhead
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;       // nothing comes behind `ahead_`
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;     // nobody takes any more
  Thread thread_;                                    // last: ends before the rest goes
};

}  // namespace store::mvcc
