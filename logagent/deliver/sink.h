// SPDX-License-Identifier: Apache-2.0
// Sink: where lines go. A batch is a run of lines of one file, with pointers into the chunk they were read
// into; the sink keeps the chunk alive until each line is decided and answers by ranges, never by line.
// Produce is called on the shard's thread; Poll on the sink's poller thread. Sinks: KafkaSink, NullSink
// (bench), ModelSink (tests).
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "logagent/tail/chunk.h"
#include "logagent/tail/file_system.h"
#include "store/base/error.h"
#include "store/base/strong_type.h"

namespace logagent {

struct Line {
  uint32_t begin = 0;   // in the chunk
  uint32_t length = 0;  // without the newline
};

// Which (path, topic) pair of the running configuration; never reused within a process.
struct EntryIdTag {
  static constexpr bool kArithmetic = false;
};
using EntryId = store::StrongInt<EntryIdTag, uint64_t>;

// One tracked range of a file: answered once, when all its lines are.
struct RangeIdTag {
  static constexpr bool kArithmetic = true;
};
using RangeId = store::StrongInt<RangeIdTag, uint64_t>;

struct Batch {
  EntryId entry;
  std::string_view topic;   // lives as long as the entry
  FileKey file;
  RangeId range;
  uint64_t begin = 0;       // file offsets [begin, end), newlines included
  uint64_t end = 0;
  ChunkPtr chunk;
  std::vector<Line> lines;
};

// What became of one range.
struct Delivery {
  EntryId entry;
  FileKey file;
  RangeId range;
  uint64_t lines_dead = 0;       // too large or invalid: written to the dead-letter spool
  std::string error;             // text of the last permanent error, empty if none
};

class Sink {
 public:
  enum class Offer { kTaken, kFull, kPaused };
  virtual Offer Produce(Batch& batch) = 0;   // all or nothing; on kTaken the batch is moved from
  virtual void Poll(absl::FunctionRef<void(const Delivery&)> deliver) = 0;
  virtual ~Sink() = default;
};

}  // namespace logagent
