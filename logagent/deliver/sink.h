// SPDX-License-Identifier: Apache-2.0
// Sink: where lines go. A batch is a run of lines of one file, with pointers into the chunk they
// were read into; the sink keeps the chunk alive until each line is decided and answers by ranges,
// never by line. Prepare and Produce are called on shard threads; Poll on the sink's one poller
// thread. What a sink holds is bounded by the budget the chunks were taken from and by its own
// limit (Produce answers kFull). Sinks: KafkaSink, KafkaLanes, NullSink (bench), ModelSink (tests).
#pragma once

#include "logagent/tail/chunk.h"
#include "logagent/tail/file_system.h"
#include "store/base/error.h"
#include "store/base/strong_type.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace logagent {

// Which (path, topic) pair of the running configuration; never reused within a process. A changed
// topic keeps the id.
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
  std::string_view topic;  // read during Produce only
  std::string_view path;   // read during Produce only; what a dead letter names
  FileKey file;
  RangeId range;
  uint64_t chunk_offset = 0;  // file offset of the chunk's first byte
  ChunkPtr chunk;
  std::vector<Line> lines;

  // Of all lines, without their newlines.
  uint64_t payload_bytes() const {
    uint64_t bytes = 0;
    for (const Line& line : lines) {
      bytes += line.length;
    }
    return bytes;
  }
};

// What became of one range.
struct Delivery {
  enum class Outcome {
    kDelivered,  // every line is acknowledged, or written to the dead-letter spool and synced
    kRejected,   // at least one line is not: the file has to be read again from the low-water mark
  };
  EntryId entry;
  FileKey file;
  RangeId range;
  Outcome outcome = Outcome::kDelivered;
  uint64_t lines_dead = 0;  // too large or invalid: written to the dead-letter spool
  std::string error;        // text of the last error, empty if none
};

// Whether lines for a topic can be taken now.
struct TopicStatus {
  enum class State { kWaiting, kReady, kError };
  State state = State::kWaiting;
  int32_t partitions = 0;
  std::string text;  // why not ready, in the broker's words
};

class Sink {
 public:
  enum class Offer { kTaken, kFull, kPaused };
  // Starts to find out about a topic, so that the first line does not wait for it.
  virtual void Prepare(std::string_view topic) = 0;
  // kTaken: the batch is moved from. kFull: later, when something was delivered. kPaused: later,
  // when the topic is ready; Topic() says why not. All or nothing.
  virtual Offer Produce(Batch& batch) = 0;
  virtual TopicStatus Topic(std::string_view topic) const = 0;
  // Waits at most a second for news, or until Wake, and hands over each range that is decided.
  virtual void Poll(absl::FunctionRef<void(Delivery)> deliver) = 0;
  // Lets Poll return. Any thread.
  virtual void Wake() {}
  virtual ~Sink() = default;
};

}  // namespace logagent
