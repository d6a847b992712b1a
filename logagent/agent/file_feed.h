// SPDX-License-Identifier: Apache-2.0
// FileFeed: one task's way from its file to the sink and back: reads, offers batches, takes
// answers, moves the low-water mark, goes back when something was rejected. It decides nothing
// about when; the shard does. The shard's thread only. What cannot be offered stays in the task
// (one batch) or in the file.
#pragma once

#include "logagent/agent/file_task.h"
#include "logagent/deliver/dead_letter.h"
#include "logagent/deliver/sink.h"
#include "store/base/clock.h"

#include <cstdint>

namespace logagent {

class FileFeed {
 public:
  enum class Outcome {
    kMore,       // the turn is over, the file is not
    kEnd,        // nothing more now
    kBlocked,    // no memory or a full sink: again when something was delivered
    kPaused,     // the topic cannot take lines: entry.paused is set
    kLater,      // an error, in task.error: not before task.retry_at
    kTruncated,  // a new generation begins: its start must be made durable
  };
  struct Fed {
    Outcome outcome = Outcome::kEnd;
    uint64_t bytes = 0;
    bool stale = false;  // kLater, and the descriptor leads nowhere any more
  };

  FileFeed(Sink& sink, DeadLetterSpool& spool, const store::Clock& clock)
      : sink_(sink), spool_(spool), clock_(clock) {}

  // At most about `bytes_max` bytes.
  Fed Feed(FileTask& task, uint64_t bytes_max);
  // The last line of a finished file, without its newline.
  Fed FeedUnfinished(FileTask& task);

  enum class Answer {
    kNone,
    kProgress,   // the low-water mark moved
    kRewound,    // the task reads again from the low-water mark, after task.retry_at
    kTruncated,  // it should have, but the content is another one by now
  };
  Answer OnDelivery(FileTask& task, const Delivery& delivery);

 private:
  Fed Take(FileTask& task, Result<ReadStep> step);
  Outcome Offer(FileTask& task);
  Outcome Spool(FileTask& task, const ReadStep& step);
  void Settle(FileTask& task, const ReadStep& step);
  Answer TryRewind(FileTask& task);
  void MoveMarks(FileTask& task);

  Sink& sink_;
  DeadLetterSpool& spool_;
  const store::Clock& clock_;
};

}  // namespace logagent
