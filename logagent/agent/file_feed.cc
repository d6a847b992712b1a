// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/file_feed.h"

#include "store/base/check.h"

#include <utility>

namespace logagent {
namespace {

constexpr store::Duration kRetryAfterError = std::chrono::seconds(1);
constexpr store::Duration kRetryAfterRejection = std::chrono::milliseconds(100);

}  // namespace

SavedFile FileTask::Row() const {
  SavedFile row;
  row.file = reader->key();
  row.entry = entry.key;
  row.path = target.empty() ? path.string() : target.string();
  row.size_seen = reader->size_known();
  row.offset = tracker.low_water();
  row.head = reader->head();
  row.mark = low_mark;
  return row;
}

FileFeed::Fed FileFeed::Feed(FileTask& task, uint64_t bytes_max) {
  Fed fed;
  while (true) {
    if (task.waiting) {
      uint64_t bytes = task.waiting->bytes;
      fed.outcome = Offer(task);
      if (fed.outcome != Outcome::kMore) {
        return fed;
      }
      fed.bytes += bytes;
    } else {
      Fed step = Take(task, task.reader->Read());
      fed.outcome = step.outcome;
      fed.stale = step.stale;
      fed.bytes += step.bytes;
      if (fed.outcome != Outcome::kMore) {
        return fed;
      }
    }
    if (fed.bytes >= bytes_max) {
      return fed;
    }
  }
}

FileFeed::Fed FileFeed::FeedUnfinished(FileTask& task) {
  CHECK(!task.waiting);
  return Take(task, task.reader->ReadUnfinished());
}

FileFeed::Fed FileFeed::Take(FileTask& task, Result<ReadStep> read) {
  Fed fed;
  task.at_end = false;
  if (!read) {
    task.error = read.error().message();
    task.retry_at = clock_.Now() + kRetryAfterError;
    fed.outcome = Outcome::kLater;
    fed.stale = read.error().code() == store::ErrorCode::kNotFound;
    return fed;
  }
  task.error.clear();
  ReadStep& step = *read;
  switch (step.kind) {
    case ReadStep::Kind::kEnd:
      task.at_end = true;
      return fed;
    case ReadStep::Kind::kNoBudget:
      fed.outcome = Outcome::kBlocked;
      return fed;
    case ReadStep::Kind::kTruncated:
      fed.outcome = Outcome::kTruncated;
      return fed;
    case ReadStep::Kind::kSkipped:
      task.entry.bytes_skipped += step.end - step.begin;
      Settle(task, step);
      fed.outcome = Outcome::kMore;
      fed.bytes = step.end - step.begin;
      return fed;
    case ReadStep::Kind::kOversize:
      fed.outcome = Spool(task, step);
      fed.bytes = step.end - step.begin;
      return fed;
    case ReadStep::Kind::kLines:
      break;
  }
  task.quiet_since = clock_.Now();
  if (step.lines.empty()) {
    fed.outcome = Outcome::kMore;
    fed.bytes = UINT64_MAX / 2;  // it searched long enough: the turn is over
    return fed;
  }
  WaitingBatch& waiting = task.waiting.emplace();
  waiting.end = step.end;
  waiting.mark = step.mark;
  waiting.bytes = step.end - step.begin;
  // What was read besides: the mark before the position and the line that is not whole yet.
  task.entry.bytes_copied += step.chunk->size() - waiting.bytes;
  waiting.batch.entry = task.entry.spec.id;
  waiting.batch.file = task.reader->key();
  waiting.batch.chunk_offset = step.chunk_offset;
  waiting.batch.chunk = std::move(step.chunk);
  waiting.batch.lines = std::move(step.lines);
  fed.bytes = waiting.bytes;
  fed.outcome = Offer(task);
  return fed;
}

FileFeed::Outcome FileFeed::Offer(FileTask& task) {
  WaitingBatch& waiting = *task.waiting;
  waiting.batch.topic = task.entry.spec.topic;
  waiting.batch.path = task.path.native();
  waiting.batch.range = task.tracker.NextRange();
  uint64_t lines = waiting.batch.lines.size();
  Sink::Offer offer = sink_.Produce(waiting.batch);
  if (offer == Sink::Offer::kFull) {
    return Outcome::kBlocked;
  }
  if (offer == Sink::Offer::kPaused) {
    task.entry.paused = true;
    return Outcome::kPaused;
  }
  if (task.tracker.low_water() == task.tracker.high_water()) {
    task.behind_since = clock_.Now();
  }
  task.tracker.Begin(waiting.end);
  task.marks.insert_or_assign(waiting.end, waiting.mark);
  task.entry.lines += lines;
  task.entry.bytes += waiting.bytes;
  task.lines += lines;
  task.bytes += waiting.bytes;
  task.waiting.reset();
  return Outcome::kMore;
}

// Synchronous: rare, and what follows must not overtake the sync that lets it count as
// acknowledged.
FileFeed::Outcome FileFeed::Spool(FileTask& task, const ReadStep& step) {
  DeadLetter letter;
  letter.topic = task.entry.spec.topic;
  letter.path = task.path.native();
  letter.file = task.reader->key();
  letter.offset = step.begin;
  letter.bytes = step.end - step.begin;
  letter.reason = "the line is longer than the limit";
  auto read = [&](uint64_t at, std::span<char> into) {
    return task.reader->Copy(step.begin + at, into);
  };
  Status spooled = spool_.AppendStreamed(letter, read);
  if (spooled) {
    spooled = spool_.Sync();
  }
  if (!spooled) {
    task.error = spooled.error().message();
    task.retry_at = clock_.Now() + kRetryAfterError;
    TailMark before = task.marks.empty() ? task.low_mark : task.marks.rbegin()->second;
    return task.reader->Rewind(step.begin, before) ? Outcome::kLater : Outcome::kTruncated;
  }
  ++task.entry.lines_dead;
  Settle(task, step);
  return Outcome::kMore;
}

// A range that does not go through the sink counts as acknowledged at once.
void FileFeed::Settle(FileTask& task, const ReadStep& step) {
  RangeId range = task.tracker.Begin(step.end);
  task.marks.insert_or_assign(step.end, step.mark);
  task.tracker.Ack(range);
  MoveMarks(task);
}

void FileFeed::MoveMarks(FileTask& task) {
  while (!task.marks.empty() && task.marks.begin()->first <= task.tracker.low_water()) {
    task.low_mark = task.marks.begin()->second;
    task.marks.erase(task.marks.begin());
  }
}

FileFeed::Answer FileFeed::OnDelivery(FileTask& task, const Delivery& delivery) {
  task.entry.lines_dead += delivery.lines_dead;
  if (delivery.outcome == Delivery::Outcome::kRejected) {
    (void)task.tracker.Reject(delivery.range);
    if (task.tracker.rejected()) {
      task.error = delivery.error;
      task.state = FileTask::State::kRewinding;
    }
    return TryRewind(task);
  }
  bool moved = task.tracker.Ack(delivery.range).has_value();
  if (moved) {
    MoveMarks(task);
    task.behind_since = clock_.Now();
  }
  if (task.state == FileTask::State::kRewinding) {
    Answer answer = TryRewind(task);
    if (answer != Answer::kNone) {
      return answer;
    }
  }
  return moved ? Answer::kProgress : Answer::kNone;
}

FileFeed::Answer FileFeed::TryRewind(FileTask& task) {
  if (task.state != FileTask::State::kRewinding || task.tracker.unanswered() > 0) {
    return Answer::kNone;
  }
  task.waiting.reset();
  task.at_end = false;  // else it might be closed, and vanish, with these lines unread
  uint64_t low_water = task.tracker.low_water();
  bool same = task.reader->Rewind(low_water, task.low_mark);
  task.tracker.Reset(low_water);
  task.marks.clear();
  task.state = FileTask::State::kActive;
  task.retry_at = clock_.Now() + kRetryAfterRejection;
  return same ? Answer::kRewound : Answer::kTruncated;
}

}  // namespace logagent
