// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/shard.h"

#include "logagent/agent/shard_loop.h"
#include "logagent/model/model.h"

#include <algorithm>
#include <utility>

namespace logagent {
namespace {

constexpr size_t kLooksPerSnapshot = 512;

}  // namespace

std::string_view Name(EntryState state) {
  switch (state) {
    case EntryState::kStarting:
      return "STARTING";
    case EntryState::kRunning:
      return "RUNNING";
    case EntryState::kNoMatch:
      return "NO_MATCH";
    case EntryState::kDenied:
      return "DENIED";
    case EntryState::kPaused:
      return "PAUSED";
    case EntryState::kError:
      return "ERROR";
    case EntryState::kDraining:
      return "DRAINING";
  }
  return "UNKNOWN";
}

Shard::Shard(const ShardOptions& options, FileSystem& files, Sink& sink, Checkpointer& checkpointer,
             DeadLetterSpool& spool, std::shared_ptr<Budget> budget, const store::Clock& clock,
             store::Logger log)
    : loop_(std::make_unique<Loop>(options, files, sink, checkpointer, spool, std::move(budget),
                                   clock, std::move(log))) {}

Shard::~Shard() = default;

Status Shard::Start() {
  loop_->Start();
  return store::Ok();
}

store::TimePoint Shard::Step() { return loop_->Step(); }

void Shard::Stop(store::Duration drain_max) { loop_->Stop(drain_max); }

void Shard::StartEntry(EntrySpec spec, bool first_applied, Done done) {
  loop_->Post([loop = loop_.get(), spec = std::move(spec), first_applied,
               done = std::move(done)]() mutable {
    loop->StartEntry(std::move(spec), first_applied, std::move(done));
  });
}

void Shard::StopEntry(EntryId id, store::Duration drain_max, Done done) {
  loop_->Post([loop = loop_.get(), id, drain_max, done = std::move(done)]() mutable {
    loop->StopEntry(id, drain_max, std::move(done));
  });
}

void Shard::ChangeTopic(EntryId id, std::string topic, Done done) {
  loop_->Post([loop = loop_.get(), id, topic = std::move(topic), done = std::move(done)]() mutable {
    loop->ChangeTopic(id, std::move(topic), std::move(done));
  });
}

void Shard::Deliver(std::vector<Delivery> deliveries) { loop_->Deliver(std::move(deliveries)); }

std::shared_ptr<const ShardSnapshot> Shard::Snapshot() const { return loop_->Snapshot(); }

void Shard::Loop::StartEntry(EntrySpec spec, bool first_applied, Done done) {
  sink_.Prepare(spec.topic);
  Entry& entry = set_.Add(std::move(spec), first_applied);
  Scan(entry);
  if (done) {
    done();
  }
}

void Shard::Loop::StopEntry(EntryId id, store::Duration drain_max, Done done) {
  Entry* entry = set_.Find(id);
  if (entry == nullptr) {
    if (done) {
      done();
    }
    return;
  }
  entry->draining = true;
  entry->drain_until = clock_.Now() + drain_max;
  entry->stopped = std::move(done);
  for (auto& [key, task] : entry->tasks) {
    task->waiting.reset();
    schedule_.Remove(task->id);
  }
}

void Shard::Loop::ChangeTopic(EntryId id, std::string topic, Done done) {
  Entry* entry = set_.Find(id);
  if (entry != nullptr) {
    sink_.Prepare(topic);
    SavedChanges changes;
    for (auto& [key, task] : entry->tasks) {
      changes.gone.emplace_back(task->reader->key(), entry->key);
    }
    entry->spec.topic = std::move(topic);
    entry->key = EntryKey(entry->spec.path, entry->spec.topic);
    for (auto& [key, task] : entry->tasks) {
      changes.files.push_back(task->Row());
    }
    changes.entries.push_back(entry->key);
    checkpointer_.SaveNow(std::move(changes), {});
    entry->paused = false;
    for (auto& [key, task] : entry->tasks) {
      Ready(*task);
    }
  }
  if (done) {
    done();
  }
}

std::shared_ptr<const ShardSnapshot> Shard::Loop::Snapshot() const {
  store::MutexLock lock(snapshot_mutex_);
  return snapshot_;
}

// Files that are not read now grow all the same. Some of them at a time, in turn: with ten thousand
// it costs two thousand looks a second and not forty thousand.
void Shard::Loop::LookAtWaiting() {
  std::vector<TaskId> waiting;
  for (auto& [id, task] : set_.tasks()) {
    if (task->entry.paused || task->waiting || !task->at_end) {
      waiting.push_back(id);
    }
  }
  std::sort(waiting.begin(), waiting.end());
  auto next = std::upper_bound(waiting.begin(), waiting.end(), looked_last_);
  std::rotate(waiting.begin(), next, waiting.end());
  waiting.resize(std::min(waiting.size(), kLooksPerSnapshot));
  for (TaskId id : waiting) {
    set_.Look(*set_.Find(id));
    looked_last_ = id;
  }
}

void Shard::Loop::Publish(bool force) {
  store::TimePoint now = clock_.Now();
  if (!force && (!changed_ || now < next_publish_)) {
    return;
  }
  LookAtWaiting();
  auto snapshot = std::make_shared<ShardSnapshot>();
  for (auto& [id, entry] : set_.entries()) {
    Describe(*entry, *snapshot);
    if (snapshot->notify_fallback.empty()) {
      snapshot->notify_fallback = entry->unwatched;
    }
  }
  snapshot->scans = scans_;
  snapshot->wakeups = wakeups_;
  changed_ = false;
  next_publish_ = now + options_.publish;
  store::MutexLock lock(snapshot_mutex_);
  snapshot_ = std::move(snapshot);
}

namespace {

std::string StateWord(const FileTask& task) {
  if (!task.error.empty()) {
    return "error";
  }
  if (task.entry.draining) {
    return "draining";
  }
  if (task.entry.paused) {
    return "paused";
  }
  switch (task.state) {
    case FileTask::State::kStarting:
      return "starting";
    case FileTask::State::kRewinding:
      return "rewinding";
    case FileTask::State::kActive:
      break;
  }
  if (task.away) {
    return "away";
  }
  bool waits = task.waiting || !task.at_end;
  return task.detached ? "finishing" : waits ? "reading" : "idle";
}

FileStats DescribeFile(const FileTask& task, const std::map<FileKey, uint64_t>& unsaved,
                       store::TimePoint now) {
  FileStats stats;
  stats.entry = task.entry.spec.id;
  stats.path = task.path.string();
  stats.file = task.reader->key();
  stats.size = std::max(task.reader->size_known(), task.size_by_name);
  stats.read_offset = task.reader->offset();
  stats.acked_offset = task.tracker.low_water();
  stats.lag_bytes = stats.size - std::min(stats.size, stats.acked_offset);
  bool behind = stats.acked_offset < stats.read_offset;
  stats.lag_seconds = behind ? std::chrono::duration<double>(now - task.behind_since).count() : 0.0;
  auto saved = unsaved.find(stats.file);
  uint64_t again = saved == unsaved.end() ? stats.acked_offset : saved->second;
  stats.window_bytes = stats.read_offset - std::min(again, stats.read_offset);
  stats.lines = task.lines;
  stats.bytes = task.bytes;
  stats.detached = task.detached;
  stats.open = task.reader->is_open();
  stats.state = StateWord(task);
  stats.error = task.error;
  return stats;
}

void DescribeState(const Entry& entry, EntryStats& stats) {
  if (entry.draining) {
    stats.state = EntryState::kDraining;
  } else if (entry.paused) {
    stats.state = EntryState::kPaused;
    stats.text = entry.pause_text;
  } else if (!entry.scanned) {
    stats.state = EntryState::kStarting;
  } else if (!entry.scan_error.empty()) {
    stats.state = entry.denied ? EntryState::kDenied : EntryState::kError;
    stats.text = entry.scan_error;
  } else if (entry.tasks.empty()) {
    stats.state = EntryState::kNoMatch;
    stats.text = "no file matches " + entry.spec.path;
  } else {
    stats.state = EntryState::kRunning;
    stats.text = entry.unwatched;
  }
}

}  // namespace

void Shard::Loop::Describe(Entry& entry, ShardSnapshot& snapshot) const {
  EntryStats stats;
  stats.id = entry.spec.id;
  stats.path = entry.spec.path;
  stats.topic = entry.spec.topic;
  stats.files = entry.tasks.size();
  stats.files_opened = entry.files_opened;
  stats.lines = entry.lines;
  stats.bytes = entry.bytes;
  stats.bytes_copied = entry.bytes_copied;
  stats.lines_dead = entry.lines_dead;
  stats.lost = entry.lost;
  stats.bytes_skipped = entry.bytes_skipped;
  stats.bytes_pinned = entry.bytes_pinned;
  auto unsaved = checkpointer_.Unsaved(entry.key);
  DescribeState(entry, stats);
  for (const auto& [key, task] : entry.tasks) {
    FileStats file = DescribeFile(*task, unsaved, clock_.Now());
    stats.files_open += file.open ? 1 : 0;
    stats.window_bytes += file.window_bytes;
    stats.lag_bytes += file.lag_bytes;
    stats.lag_seconds = std::max(stats.lag_seconds, file.lag_seconds);
    if (stats.state == EntryState::kRunning && !file.error.empty()) {
      stats.text = file.error;
    }
    snapshot.files.push_back(std::move(file));
  }
  for (const auto& [inode, held] : entry.held) {
    FileStats& file = snapshot.files.emplace_back();
    file.entry = entry.spec.id;
    file.path = held.path.string();
    file.file = {inode.first, inode.second, 0};
    file.size = held.size;
    file.open = false;
    file.state = "held back";
    file.error = "equals the beginning of a file that is read: a copytruncate may be making it";
  }
  snapshot.entries.push_back(std::move(stats));
}

}  // namespace logagent
