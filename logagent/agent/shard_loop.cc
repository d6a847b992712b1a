// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/shard_loop.h"

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>

namespace logagent {
namespace {

constexpr store::Duration kDrainLook = std::chrono::milliseconds(10);
constexpr store::Duration kScanRetry = std::chrono::seconds(1);
constexpr store::Duration kHeldInterval = std::chrono::milliseconds(250);
constexpr size_t kRenamesMax = 10'000;
// Of more names in one look a scan costs less than one look for each.
constexpr size_t kAppearedMax = 16;

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

store::TimePoint Shard::Loop::NextDue(store::TimePoint now) const {
  if (draining_) {
    return std::min(now + kDrainLook, store::TimePoint{store::Duration(drain_until_.load())});
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
    if (entry->draining) {  // neither scanned nor read any more
      due = std::min(due, entry->drain_until);
      continue;
    }
    due = std::min({due, std::max(entry->next_scan, entry->scan_not_before)});
    if (entry->paused) {
      due = std::min(due, entry->pause_check);
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
    OpenAppeared();
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
    if (!interested) {
      continue;
    }
    if (watches(event.path)) {
      ScanSoon(*entry);
    } else if (watches(directory)) {
      OnAppeared(*entry, event);
    }
  }
}

// A new file in a directory of thousands is opened by its name: a scan would look at all of them.
void Shard::Loop::OnAppeared(Entry& entry, const NotifyEvent& event) {
  bool file = event.kind == NotifyEvent::Kind::kAppeared && !event.directory;
  if (file && appeared_.size() < kAppearedMax) {
    appeared_.emplace_back(entry.spec.id, event.path);
  } else {
    ScanSoon(entry);
  }
}

void Shard::Loop::OpenAppeared() {
  store::TimePoint now = clock_.Now();
  for (const auto& [id, path] : std::exchange(appeared_, {})) {
    Entry& entry = *set_.Find(id);
    bool scan = now >= entry.next_scan && now >= entry.scan_not_before;
    FileSet::Scanned scanned;
    if (entry.draining || scan) {
      continue;
    }
    if (!set_.OpenAppeared(entry, path, scanned)) {
      ScanSoon(entry);
    }
    Begin(entry, scanned, false);
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
  SaveStarts(entry, scanned.opened, scanned.gone, applied);
}

// The rows of all new files, and that the entry was applied, are one batch: a crash leaves all or
// nothing, so "never applied" and "no checkpoint" mean what the start rule takes them for.
void Shard::Loop::SaveStarts(Entry& entry, const std::vector<TaskId>& opened,
                             const std::vector<FileKey>& gone, bool applied) {
  std::vector<TaskId> durable;
  std::vector<TaskId> fresh;
  SavedChanges changes;
  for (TaskId id : opened) {
    FileTask& task = *set_.Find(id);
    SavedFile row = task.Row();
    // A copy was resumed too, but no row of its own says so yet.
    auto [there, same] = checkpointer_.StateOf(row);
    bool known = task.reader->resumed() && there;
    (known ? durable : fresh).push_back(id);
    if (!known || !same) {
      changes.files.push_back(std::move(row));
    }
  }
  for (const FileKey& file : gone) {
    changes.gone.emplace_back(file, entry.key);
  }
  if (applied) {
    changes.entries.push_back(entry.key);
  }
  for (TaskId id : durable) {
    FileTask& task = *set_.Find(id);
    // Of ten thousand files that were left at their end none is looked at again before the first
    // line of another: whatever happened since the look is heard of as news.
    task.state = FileTask::State::kActive;
    task.at_end = task.reader->offset() == task.reader->size_seen();
    if (!task.at_end) {
      Ready(task);
    }
  }
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

}  // namespace logagent
