// SPDX-License-Identifier: Apache-2.0
// What a shard does with its files once they are found: reads them in turn, takes the sink's
// answers, looks again at what could not be read, and finishes what was rotated away or deleted.
#include "logagent/agent/shard_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace logagent {
namespace {

constexpr store::Duration kReadRetry = std::chrono::seconds(1);
constexpr store::Duration kDescriptorRetry = std::chrono::milliseconds(20);
constexpr store::Duration kLookInterval = std::chrono::milliseconds(10);
constexpr store::Duration kDetachedInterval = std::chrono::milliseconds(250);
constexpr int kTurnsPerRound = 64;
// And no longer than this: while the sink has room, news of other files and answers wait.
constexpr store::Duration kRoundMax = std::chrono::milliseconds(10);
constexpr size_t kFinishedMax = 16;

}  // namespace

void Shard::Loop::HandleDeliveries(const std::vector<Delivery>& deliveries) {
  changed_ = true;
  std::set<TaskId> progressed;
  for (const Delivery& delivery : deliveries) {
    FileTask* task = set_.Find(delivery.entry, delivery.file);
    if (task != nullptr && task->tracker.series() == AckTracker::SeriesOf(delivery.range)) {
      HandleDelivery(*task, delivery, progressed);
    } else {
      HandleFormer(delivery, progressed);
    }
  }
  for (TaskId id : progressed) {
    if (FileTask* task = set_.Find(id)) {
      checkpointer_.Progress(task->Row());
    }
  }
  for (TaskId id : std::exchange(blocked_, {})) {
    if (FileTask* task = set_.Find(id)) {
      Ready(*task);
    }
  }
}

void Shard::Loop::HandleDelivery(FileTask& task, const Delivery& delivery,
                                 std::set<TaskId>& progressed) {
  if (delivery.outcome == Delivery::Outcome::kRejected) {
    bool gone = false;
    set_.EnsureOpen(task, &gone);  // a copy's reader may have been closed before it inherited
  }
  switch (feed_.OnDelivery(task, delivery)) {
    case FileFeed::Answer::kNone:
      break;
    case FileFeed::Answer::kProgress:
      progressed.insert(task.id);
      break;
    case FileFeed::Answer::kRewound:
      if (auto suppressed = log_every_.Due(task.path.native())) {
        log_.Warn("lines were not taken and are read again", {{"path", task.path.native()},
                                                              {"offset", task.reader->offset()},
                                                              {"reason", task.error},
                                                              {"suppressed", *suppressed}});
      }
      later_.insert(task.id);
      break;
    case FileFeed::Answer::kTruncated:
      OnTruncated(task);
      break;
  }
}

// The answer for a content that is no longer where it was read: its copy goes on with it, or what
// was not taken is lost.
void Shard::Loop::HandleFormer(const Delivery& delivery, std::set<TaskId>& progressed) {
  Entry* entry = set_.Find(delivery.entry);
  if (entry == nullptr) {
    return;
  }
  uint64_t series = AckTracker::SeriesOf(delivery.range);
  auto former = entry->formers.find(series);
  if (former == entry->formers.end()) {
    return;  // stopped without draining
  }
  if (former->second.heir == 0) {
    AckTracker& tracker = former->second.tracker;
    if (delivery.outcome == Delivery::Outcome::kRejected) {
      entry->lost.truncated += tracker.Reject(delivery.range);
    } else {
      (void)tracker.Ack(delivery.range);
    }
    if (tracker.unanswered() == 0) {
      entry->formers.erase(former);
    }
    return;
  }
  TaskId id = former->second.heir;
  uint64_t end = former->second.end;
  if (FileTask* heir = set_.Find(id)) {
    HandleDelivery(*heir, delivery, progressed);
  }
  FileTask* heir = set_.Find(id);
  former = entry->formers.find(series);
  if (former == entry->formers.end() || former->second.heir != id) {
    return;  // its content is another one again
  }
  if (heir == nullptr || heir->tracker.low_water() >= end) {
    entry->formers.erase(former);
  }
}

void Shard::Loop::Ready(FileTask& task) {
  if (task.state == FileTask::State::kActive && !task.entry.draining && !task.entry.paused) {
    schedule_.Ready(task.id);
  }
}

void Shard::Loop::ReadSome() {
  store::TimePoint until = clock_.Now() + kRoundMax;
  for (int turns = 0; turns < kTurnsPerRound && clock_.Now() < until; ++turns) {
    auto turn = schedule_.Next();
    if (!turn) {
      return;
    }
    FileTask* task = set_.Find(turn->task);
    if (task == nullptr || task->state != FileTask::State::kActive || task->entry.draining ||
        task->entry.paused) {
      schedule_.Done(turn->task, 0, false);
      continue;
    }
    if (clock_.Now() < task->retry_at) {
      later_.insert(task->id);
      schedule_.Done(turn->task, 0, false);
      continue;
    }
    if (!Open(*task)) {
      schedule_.Done(turn->task, 0, false);
      continue;
    }
    FileFeed::Fed fed = feed_.Feed(*task, turn->bytes);
    changed_ = changed_ || fed.bytes > 0;
    schedule_.Done(turn->task, fed.bytes, fed.outcome == FileFeed::Outcome::kMore);
    if (fed.outcome == FileFeed::Outcome::kTruncated) {
      OnTruncated(*task);
    } else {
      After(*task, fed);
    }
  }
}

// A file that was closed while it was idle and cannot be opened any more is tried again; when no
// name leads to it, it was deleted, and what had not been delivered is lost or in a copy of it.
bool Shard::Loop::Open(FileTask& task) {
  if (!set_.MayRead(task)) {
    task.retry_at = clock_.Now() + kDescriptorRetry;
    later_.insert(task.id);
    return false;
  }
  bool gone = false;
  if (set_.EnsureOpen(task, &gone)) {
    return true;
  }
  changed_ = true;
  if (gone && !task.away) {
    Entry& entry = task.entry;
    FormerContent former = task.reader->present();
    Path was = task.path;
    Finish(task);
    FileSet::Scanned scanned;
    set_.LoseGone(entry, former, was, scanned);
    Begin(entry, scanned, false);
    return false;
  }
  task.retry_at = clock_.Now() + kReadRetry;
  later_.insert(task.id);
  return false;
}

void Shard::Loop::After(FileTask& task, const FileFeed::Fed& fed) {
  switch (fed.outcome) {
    case FileFeed::Outcome::kBlocked:
      blocked_.insert(task.id);
      break;
    case FileFeed::Outcome::kLater:
      later_.insert(task.id);
      // With nothing in flight, as any file is closed: what is not taken is read again, or lost, by
      // what its name leads to then.
      if (fed.stale && task.drained()) {
        set_.CloseFile(task);
      }
      break;
    case FileFeed::Outcome::kPaused:
      task.entry.pause_backoff.Reset();
      task.entry.pause_check = clock_.Now();
      CheckPaused(task.entry);
      break;
    case FileFeed::Outcome::kMore:
    case FileFeed::Outcome::kEnd:
    case FileFeed::Outcome::kTruncated:
      break;
  }
}

// What was read of the former content and is not answered yet is in flight and stays there; the
// copy, if there is one, goes on with it. After a crash nothing else could read it again, so the
// old row goes with the batch that makes the new starts durable.
void Shard::Loop::OnTruncated(FileTask& task) {
  FileSet::Scanned scanned;
  FormerContent former = task.reader->former();
  task.state = FileTask::State::kStarting;
  FileTask* copy = set_.SucceedFormer(task, scanned);
  log_.Info("file was truncated; reading from its beginning",
            {{"path", task.path.native()},
             {"read", former.offset},
             {"seen", former.size},
             {"copy", copy == nullptr ? std::string("none") : copy->path.string()}});
  task.waiting.reset();
  task.quiet_since = clock_.Now();
  scanned.gone.push_back(former.key);
  Entry& entry = task.entry;
  if (set_.IsCopyOfOther(task)) {
    detached_.erase(task.id);
    schedule_.Remove(task.id);
    set_.Close(task);
    ScanSoon(entry);
  } else {
    scanned.opened.push_back(task.id);
  }
  Begin(entry, scanned, false);
}

void Shard::Loop::LookAgain() {
  store::TimePoint now = clock_.Now();
  for (auto& [id, entry] : set_.entries()) {
    if (entry->paused && now >= entry->pause_check) {
      CheckPaused(*entry);
    }
  }
  if (now < next_look_) {
    return;
  }
  bool waiting = !blocked_.empty() || !later_.empty();
  next_look_ = now + (waiting ? kLookInterval : kDetachedInterval);
  for (TaskId id : std::exchange(blocked_, {})) {
    if (FileTask* task = set_.Find(id)) {
      Ready(*task);
    }
  }
  for (TaskId id : std::exchange(later_, {})) {
    FileTask* task = set_.Find(id);
    if (task != nullptr && now < task->retry_at) {
      later_.insert(id);
    } else if (task != nullptr) {
      Ready(*task);
    }
  }
  std::vector<TaskId> detached(detached_.begin(), detached_.end());
  for (TaskId id : detached) {
    FileTask* task = set_.Find(id);
    if (task == nullptr || !task->detached) {
      detached_.erase(id);
    } else {
      CheckDetached(*task);
    }
  }
  if (!detached.empty()) {
    CheckPinned();
  }
}

void Shard::Loop::CheckPaused(Entry& entry) {
  TopicStatus topic = sink_.Topic(entry.spec.topic);
  changed_ = changed_ || entry.pause_text != topic.text;
  entry.pause_text = topic.text;
  if (topic.state != TopicStatus::State::kReady) {
    entry.pause_check = clock_.Now() + entry.pause_backoff.Next();
    return;
  }
  entry.paused = false;
  entry.pause_text.clear();
  changed_ = true;
  for (auto& [id, task] : entry.tasks) {
    Ready(*task);
  }
}

// A file that was rotated away or deleted is finished when everything is read and acknowledged and
// its writer has been silent: then its last line is taken without a newline, and after that is
// acknowledged too it is closed.
void Shard::Loop::CheckDetached(FileTask& task) {
  if (!Open(task)) {
    return;
  }
  auto facts = task.reader->Look();
  if (facts) {
    task.pinned = facts->links == 0 ? facts->size : 0;
  }
  if (task.state != FileTask::State::kActive || task.entry.paused || task.entry.draining) {
    return;
  }
  if (facts && facts->size != task.reader->size_seen()) {
    task.quiet_since = clock_.Now();
    Ready(task);
    return;
  }
  bool quiet = clock_.Now() - task.quiet_since >= options_.finish_quiet;
  if (!quiet || !task.at_end || !task.drained()) {
    return;
  }
  FileFeed::Fed fed = feed_.FeedUnfinished(task);
  if (fed.outcome == FileFeed::Outcome::kTruncated) {
    OnTruncated(task);
  } else if (fed.outcome == FileFeed::Outcome::kEnd) {
    Finish(task);
  } else {
    After(task, fed);
    Ready(task);
  }
}

// Deleted files that are still read keep their bytes on the disk: too many of them, and the one
// that has waited longest is given up, loudly, before the disk is full.
void Shard::Loop::CheckPinned() {
  for (auto& [id, entry] : set_.entries()) {
    FileTask* oldest = nullptr;
    uint64_t before = std::exchange(entry->bytes_pinned, 0);
    for (auto& [key, task] : entry->tasks) {
      entry->bytes_pinned += task->pinned;
      bool older = oldest == nullptr || task->detached_since < oldest->detached_since;
      oldest = task->pinned > 0 && older ? task.get() : oldest;
    }
    changed_ = changed_ || entry->bytes_pinned != before;
    bool near = entry->bytes_pinned > options_.pinned_bytes_max / 4 * 3;
    if (near && !entry->pinned_warned) {
      log_.Warn("deleted files that are not read yet fill the disk",
                {{"path", entry->spec.path},
                 {"bytes", entry->bytes_pinned},
                 {"limit", options_.pinned_bytes_max}});
    }
    entry->pinned_warned = near;
    if (entry->bytes_pinned > options_.pinned_bytes_max && oldest != nullptr) {
      GiveUp(*oldest);
    }
  }
}

void Shard::Loop::GiveUp(FileTask& task) {
  uint64_t lost = task.pinned - std::min(task.pinned, task.tracker.high_water());
  task.entry.lost.given_up += lost;
  log_.Error("a deleted file is given up: too many bytes of deleted files wait to be read",
             {{"path", task.path.native()}, {"bytes_lost", lost}});
  if (task.tracker.unanswered() > 0) {
    FormerRanges ranges{0, task.tracker.high_water(), std::move(task.tracker)};
    task.entry.formers.insert_or_assign(ranges.tracker.series(), std::move(ranges));
  }
  Finish(task);
}

// The row of a file that still exists stays for a while, and that of one whose whole directory is
// away for good: when it comes back, a mount perhaps, the file goes on where it was left.
void Shard::Loop::Finish(FileTask& task) {
  SavedChanges changes;
  auto facts = task.reader->is_open() ? task.reader->Look()
                                      : Result<FileFacts>(store::Fail(store::ErrorCode::kNotFound));
  std::deque<SavedFile>& finished = task.entry.finished;
  if (task.away) {
    changes.files.push_back(task.Row());
  } else if (facts && facts->links > 0) {
    finished.push_back(task.Row());
    finished.back().state = FileState::kFinished;
    changes.files.push_back(finished.back());
  } else {
    changes.gone.emplace_back(task.reader->key(), task.entry.key);
  }
  while (finished.size() > kFinishedMax) {
    changes.gone.emplace_back(finished.front().file, task.entry.key);
    finished.pop_front();
  }
  checkpointer_.SaveNow(std::move(changes), {});
  detached_.erase(task.id);
  schedule_.Remove(task.id);
  changed_ = true;
  set_.Close(task);
}

bool Shard::Loop::AllAnswered(const Entry& entry) const {
  return std::all_of(entry.tasks.begin(), entry.tasks.end(),
                     [](const auto& row) { return row.second->tracker.unanswered() == 0; });
}

void Shard::Loop::CloseDrained() {
  std::vector<EntryId> closed;
  for (auto& [id, entry] : set_.entries()) {
    if (entry->draining && (AllAnswered(*entry) || clock_.Now() >= entry->drain_until)) {
      closed.push_back(entry->spec.id);
    }
  }
  for (EntryId id : closed) {
    Done done = std::move(set_.Find(id)->stopped);
    set_.Remove(id);
    changed_ = true;
    if (done) {
      done();
    }
  }
}

}  // namespace logagent
