// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/shard_loop.h"

#include "logagent/model/model.h"
#include "store/base/check.h"

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>

namespace logagent {
namespace {

constexpr store::Duration kLookInterval = std::chrono::milliseconds(10);
constexpr store::Duration kDetachedInterval = std::chrono::milliseconds(250);
constexpr store::Duration kScanRetry = std::chrono::seconds(1);
constexpr store::Duration kHeldInterval = std::chrono::milliseconds(250);
constexpr int kTurnsPerRound = 64;
constexpr size_t kRenamesMax = 10'000;
constexpr size_t kFinishedMax = 16;

int MillisUntil(store::TimePoint due, store::TimePoint now) {
  if (due <= now) {
    return 0;
  }
  auto wait = std::chrono::ceil<std::chrono::milliseconds>(due - now).count();
  return static_cast<int>(std::min<int64_t>(wait, 60'000));
}

}  // namespace

Shard::Loop::Loop(const ShardOptions& options, FileSystem& files, Sink& sink,
                  Checkpointer& checkpointer, DeadLetterSpool& spool,
                  std::shared_ptr<Budget> budget, const store::Clock& clock, store::Logger log)
    : options_(options),
      sink_(sink),
      checkpointer_(checkpointer),
      clock_(clock),
      log_(std::move(log)),
      log_every_(clock, std::chrono::seconds(10)),
      mail_(std::make_shared<ShardMail>()),
      notifier_(files.MakeNotifier()),
      set_(options, files, checkpointer, *notifier_, std::move(budget), clock),
      feed_(sink, spool, clock),
      schedule_(options.quantum_bytes),
      snapshot_(std::make_shared<ShardSnapshot>()) {}

Shard::Loop::~Loop() {
  abandon_ = true;
  mail_->Wake();
  thread_.Join();
  mail_->Close();
}

void Shard::Loop::Start() {
  thread_ = store::Thread("tail-" + std::to_string(options_.index), [this] { Run(); });
}

void Shard::Loop::Stop(store::Duration drain_max) {
  drain_until_ = (clock_.Now() + drain_max).time_since_epoch().count();
  stopping_ = true;
  mail_->Wake();
  thread_.Join();
  mail_->Close();
}

void Shard::Loop::Run() {
  while (!abandon_.load() && Round()) {
    Wait();
  }
}

store::TimePoint Shard::Loop::Step() {
  Round();
  return NextDue(clock_.Now());
}

// Everything that can be done without waiting. False when the thread is to end.
bool Shard::Loop::Round() {
  TakeMail();
  if (stopping_.load()) {
    draining_ = true;
    store::TimePoint until{store::Duration(drain_until_.load())};
    bool answered = std::all_of(set_.entries().begin(), set_.entries().end(),
                                [this](const auto& row) { return AllAnswered(*row.second); });
    if (answered || clock_.Now() >= until) {
      Publish(true);
      return false;
    }
  } else {
    TakeNotifications();
    ScanDue();
    LookAgain();
    ReadSome();
    set_.CloseIdle();
  }
  CloseDrained();
  Publish(false);
  return true;
}

void Shard::Loop::TakeMail() {
  std::vector<store::Action> actions;
  std::vector<Delivery> deliveries;
  mail_->Take(&actions, &deliveries);
  if (!deliveries.empty()) {
    HandleDeliveries(deliveries);
  }
  for (store::Action& action : actions) {
    action();
    changed_ = true;
  }
}

void Shard::Loop::HandleDeliveries(const std::vector<Delivery>& deliveries) {
  changed_ = true;
  std::set<TaskId> progressed;
  for (const Delivery& delivery : deliveries) {
    FileTask* task = set_.Find(delivery.entry, delivery.file);
    if (task != nullptr) {
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
  auto former = entry->formers.find(delivery.file);
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
  FileTask* heir = set_.Find(id);  // unless its content is another one again
  if (heir == nullptr || heir->tracker.low_water() >= end) {
    entry->formers.erase(delivery.file);
  }
}

store::TimePoint Shard::Loop::NextDue(store::TimePoint now) const {
  if (draining_) {
    return std::min(now + kLookInterval, store::TimePoint{store::Duration(drain_until_.load())});
  }
  if (!schedule_.empty()) {
    return now;
  }
  store::TimePoint due = now + std::chrono::minutes(1);
  if (changed_) {
    due = std::min(due, next_publish_);
  }
  if (!blocked_.empty() || !later_.empty() || !detached_.empty()) {
    due = std::min(due, next_look_);
  }
  for (const auto& [id, entry] : const_cast<FileSet&>(set_).entries()) {
    due = std::min({due, std::max(entry->next_scan, entry->scan_not_before)});
    if (entry->paused) {
      due = std::min(due, entry->pause_check);
    }
    if (entry->draining) {
      due = std::min(due, entry->drain_until);
    }
  }
  return due;
}

// Notifications are left in the kernel for a moment after each look, where a busy writer's events
// merge: it costs hundreds of wake-ups a second then, not as many as it writes lines.
void Shard::Loop::Wait() {
  store::TimePoint now = clock_.Now();
  bool look = now >= next_notify_;
  store::TimePoint due = NextDue(now);
  if (!look && due > next_notify_) {
    due = next_notify_;
  }
  std::array<pollfd, 2> fds = {{{mail_->Fd(), POLLIN, 0}, {notifier_->Fd(), POLLIN, 0}}};
  nfds_t count = look && notifier_->Fd() >= 0 ? 2 : 1;
  poll(fds.data(), count, MillisUntil(due, now));
  ++wakeups_;
}

void Shard::Loop::TakeNotifications() {
  store::TimePoint now = clock_.Now();
  if (now < next_notify_) {
    return;
  }
  bool any = false;
  notifier_->Drain([&](const NotifyEvent& event) {
    any = true;
    OnNotify(event);
  });
  if (any) {
    next_notify_ = now + options_.coalesce;
    changed_ = true;
  }
}

void Shard::Loop::OnNotify(const NotifyEvent& event) {
  if (event.kind == NotifyEvent::Kind::kOverflow) {
    for (auto& [id, entry] : set_.entries()) {
      entry->events_lost = true;
      ScanSoon(*entry);
    }
    return;
  }
  if (!event.from.empty() && !event.directory) {
    NoteRename(event.from, event.path);
  }
  const std::vector<TaskId>& tasks = set_.TasksAt(event.path.native());
  for (TaskId id : tasks) {
    Ready(*set_.Find(id));
  }
  if (event.kind == NotifyEvent::Kind::kModified && !tasks.empty()) {
    return;
  }
  Path directory = event.path.parent_path();
  for (auto& [id, entry] : set_.entries()) {
    bool interested = event.kind != NotifyEvent::Kind::kModified || !entry->scan_error.empty();
    auto watches = [&](const Path& path) {
      return std::binary_search(entry->directories.begin(), entry->directories.end(), path);
    };
    if (interested && (watches(directory) || watches(event.path))) {
      ScanSoon(*entry);
    }
  }
}

void Shard::Loop::NoteRename(const Path& from, const Path& to) {
  for (auto& [was, now] : renamed_) {
    if (now == from) {
      now = to;
      return;
    }
  }
  if (renamed_.size() < kRenamesMax) {
    renamed_.emplace_back(from, to);
  }
}

// A file that was created and renamed before the first look is found under its new name.
void Shard::Loop::OpenRenamed() {
  for (const auto& [was, now] : std::exchange(renamed_, {})) {
    for (auto& [id, entry] : set_.entries()) {
      FileSet::Scanned scanned;
      set_.OpenRenamed(*entry, was, now, scanned);
      Begin(*entry, scanned, false);
    }
  }
}

void Shard::Loop::ScanSoon(Entry& entry) { entry.next_scan = store::TimePoint{}; }

void Shard::Loop::ScanDue() {
  store::TimePoint now = clock_.Now();
  for (auto& [id, entry] : set_.entries()) {
    if (!entry->draining && now >= entry->next_scan && now >= entry->scan_not_before) {
      Scan(*entry);
    }
  }
  OpenRenamed();
}

void Shard::Loop::Scan(Entry& entry) {
  store::TimePoint began = clock_.Now();
  bool first = !entry.scanned;
  bool applied = entry.first_applied;
  FileSet::Scanned scanned = set_.Scan(entry);
  ++scans_;
  changed_ = true;
  store::TimePoint now = clock_.Now();
  entry.next_scan = now + (scanned.watched ? options_.rescan : options_.rescan_unwatched);
  if (!entry.scan_error.empty()) {
    entry.next_scan = std::min(entry.next_scan, now + kScanRetry);
  }
  // A scan takes at most a tenth of the time, however many names appear.
  entry.scan_not_before = now + 9 * (now - began);
  if (!entry.held.empty()) {
    entry.next_scan = std::min(entry.next_scan, now + kHeldInterval);
  }
  Begin(entry, scanned, first && applied);
}

void Shard::Loop::Begin(Entry& entry, FileSet::Scanned& scanned, bool applied) {
  for (TaskId id : scanned.changed) {
    FileTask* task = set_.Find(id);
    if (task == nullptr) {
      continue;
    }
    if (task->detached) {
      detached_.insert(id);
    }
    Ready(*task);
  }
  for (TaskId id : scanned.opened) {
    if (set_.Find(id)->detached) {
      detached_.insert(id);
    }
  }
  SaveStarts(entry, scanned.opened, std::move(scanned.gone), applied);
}

// The rows of all new files, and that the entry was applied, are one batch: a crash leaves all or
// nothing, so "never applied" and "no checkpoint" mean what the start rule takes them for.
void Shard::Loop::SaveStarts(Entry& entry, const std::vector<TaskId>& opened,
                             std::vector<FileKey> gone, bool applied) {
  std::vector<TaskId> durable;
  std::vector<TaskId> fresh;
  SavedChanges changes;
  for (TaskId id : opened) {
    FileTask& task = *set_.Find(id);
    // A copy was resumed too, but no row of its own says so yet.
    if (task.reader->resumed() && checkpointer_.HasRow(entry.key, task.reader->key())) {
      durable.push_back(id);
    } else {
      fresh.push_back(id);
      changes.files.push_back(task.Row());
    }
  }
  for (const FileKey& file : gone) {
    changes.gone.emplace_back(file, entry.key);
  }
  if (applied) {
    changes.entries.push_back(entry.key);
  }
  BeginReading(durable);
  if (changes.empty()) {
    return;
  }
  auto saved = [this, mail = std::weak_ptr<ShardMail>(mail_), fresh](const Status&) {
    // A failure is the checkpointer's to report: the files are read all the same.
    if (auto open = mail.lock()) {
      open->Post([this, fresh] { BeginReading(fresh); });
    }
  };
  checkpointer_.SaveNow(std::move(changes), std::move(saved));
}

void Shard::Loop::BeginReading(const std::vector<TaskId>& tasks) {
  for (TaskId id : tasks) {
    FileTask* task = set_.Find(id);
    if (task != nullptr && task->state == FileTask::State::kStarting) {
      task->state = FileTask::State::kActive;
      Ready(*task);
    }
  }
}

void Shard::Loop::Ready(FileTask& task) {
  if (task.state == FileTask::State::kActive && !task.entry.draining && !task.entry.paused) {
    schedule_.Ready(task.id);
  }
}

void Shard::Loop::ReadSome() {
  for (int turns = 0; turns < kTurnsPerRound; ++turns) {
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
// name leads to it, it was deleted, and all of it but an unfinished line had been delivered.
bool Shard::Loop::Open(FileTask& task) {
  bool gone = false;
  if (set_.EnsureOpen(task, &gone)) {
    return true;
  }
  changed_ = true;
  if (gone && !task.away) {
    uint64_t size = task.reader->size_seen();
    task.entry.lost.deleted += size - std::min(size, task.reader->offset());
    Finish(task);
    return false;
  }
  task.retry_at = clock_.Now() + kScanRetry;
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
  FileTask* copy = set_.SucceedFormer(task, scanned);
  log_.Info("file was truncated; reading from its beginning",
            {{"path", task.path.native()},
             {"read", former.offset},
             {"seen", former.size},
             {"copy", copy == nullptr ? std::string("none") : copy->path.string()}});
  task.waiting.reset();
  task.state = FileTask::State::kStarting;
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
  auto facts = task.reader->Facts();
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
    entry->bytes_pinned = 0;
    for (auto& [key, task] : entry->tasks) {
      entry->bytes_pinned += task->pinned;
      bool older = oldest == nullptr || task->detached_since < oldest->detached_since;
      oldest = task->pinned > 0 && older ? task.get() : oldest;
    }
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
    task.entry.formers.insert_or_assign(task.reader->key(), std::move(ranges));
  }
  Finish(task);
}

// The row of a file that still exists stays for a while, and that of one whose whole directory is
// away for good: when it comes back, a mount perhaps, the file goes on where it was left.
void Shard::Loop::Finish(FileTask& task) {
  SavedChanges changes;
  auto facts = task.reader->is_open() ? task.reader->Facts()
                                      : Result<FileFacts>(store::Fail(store::ErrorCode::kNotFound));
  std::deque<FileKey>& finished = task.entry.finished;
  if (task.away || (facts && facts->links > 0)) {
    changes.files.push_back(task.Row());
    changes.files.back().state = task.away ? FileState::kActive : FileState::kFinished;
  } else {
    changes.gone.emplace_back(task.reader->key(), task.entry.key);
  }
  if (!task.away && facts && facts->links > 0) {
    finished.push_back(task.reader->key());
  }
  while (finished.size() > kFinishedMax) {
    changes.gone.emplace_back(finished.front(), task.entry.key);
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
