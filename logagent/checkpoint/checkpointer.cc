// SPDX-License-Identifier: Apache-2.0
#include "logagent/checkpoint/checkpointer.h"

#include "store/base/check.h"

#include <algorithm>

namespace logagent {
namespace {

constexpr store::Duration kRetry = std::chrono::seconds(1);

}  // namespace

Checkpointer::Checkpointer(std::unique_ptr<CheckpointStore> store, CheckpointerOptions options,
                           const store::Clock& clock, store::Logger log)
    : store_(std::move(store)), options_(options), clock_(clock), log_(std::move(log)) {}

Checkpointer::~Checkpointer() {
  {
    store::MutexLock lock(mutex_);
    abandoned_ = true;
    changed_.NotifyAll();
  }
  thread_.Join();
}

Status Checkpointer::Start() {
  RETURN_IF_ERROR(Load());
  thread_ = store::Thread("checkpointer", [this] { Run(); });
  return store::Ok();
}

Status Checkpointer::Load() {
  auto state = store_->LoadAll();
  RETURN_IF_ERROR(state);
  {
    store::MutexLock lock(mutex_);
    for (SavedFile& row : state->files) {
      RowId id{row.entry, row.file};
      rows_.emplace(std::move(id), std::move(row));
    }
    entries_ = std::move(state->entries);
    config_ = std::move(state->config);
  }
  next_progress_ = next_sync_ = clock_.Now();
  return store::Ok();
}

void Checkpointer::Step() {
  {
    store::MutexLock lock(mutex_);
    if (clock_.Now() < NextDue()) {
      return;
    }
  }
  RunRound();
}

Status Checkpointer::Stop() {
  bool stopped = false;
  {
    store::MutexLock lock(mutex_);
    stopped = std::exchange(stopping_, true);
    changed_.NotifyAll();
  }
  if (!thread_.running() && !stopped) {
    RunRound();
  }
  thread_.Join();
  store::MutexLock lock(mutex_);
  if (!stats_.error.empty()) {
    return store::Fail(store::ErrorCode::kIo, stats_.error);
  }
  return store::Ok();
}

bool Checkpointer::Applied(std::string_view entry) const {
  store::MutexLock lock(mutex_);
  return entries_.contains(entry);
}

std::vector<SavedFile> Checkpointer::RowsOf(std::string_view entry) const {
  store::MutexLock lock(mutex_);
  std::vector<SavedFile> rows;
  for (auto at = rows_.lower_bound(RowId{std::string(entry), FileKey{}});
       at != rows_.end() && at->first.first == entry; ++at) {
    rows.push_back(at->second);
  }
  return rows;
}

bool Checkpointer::Knows(std::string_view entry, uint64_t device, uint64_t inode) const {
  store::MutexLock lock(mutex_);
  auto at = rows_.lower_bound(RowId{std::string(entry), FileKey{device, inode, 0}});
  return at != rows_.end() && at->first.first == entry && at->first.second.device == device &&
         at->first.second.inode == inode;
}

Checkpointer::RowState Checkpointer::StateOf(const SavedFile& row) const {
  store::MutexLock lock(mutex_);
  auto at = rows_.find(RowId{row.entry, row.file});
  if (at == rows_.end()) {
    return {};
  }
  const SavedFile& saved = at->second;
  return {true, saved.path == row.path && saved.head == row.head && saved.state == row.state};
}

std::optional<std::string> Checkpointer::LastGoodConfig() const {
  store::MutexLock lock(mutex_);
  return config_;
}

void Checkpointer::Progress(SavedFile row) {
  store::MutexLock lock(mutex_);
  RowId id{row.entry, row.file};
  auto at = rows_.find(id);
  if (at == rows_.end()) {
    return;
  }
  uint64_t saved = at->second.offset;
  at->second = std::move(row);
  if (dirty_.empty()) {
    changed_.NotifyAll();
  }
  dirty_.try_emplace(std::move(id), saved);
}

std::map<FileKey, uint64_t> Checkpointer::Unsaved(std::string_view entry) const {
  store::MutexLock lock(mutex_);
  std::map<FileKey, uint64_t> unsaved;
  for (auto at = dirty_.lower_bound(RowId{std::string(entry), FileKey{}});
       at != dirty_.end() && at->first.first == entry; ++at) {
    unsaved.emplace(at->first.second, at->second);
  }
  return unsaved;
}

void Checkpointer::Remember(const SavedChanges& changes) {
  for (const auto& [file, entry] : changes.gone) {
    rows_.erase({entry, file});
    dirty_.erase({entry, file});
  }
  for (const std::string& entry : changes.entries_gone) {
    entries_.erase(entry);
  }
  for (const SavedFile& row : changes.files) {
    rows_[{row.entry, row.file}] = row;
  }
  entries_.insert(changes.entries.begin(), changes.entries.end());
  if (changes.config) {
    config_ = changes.config;
  }
}

void Checkpointer::SaveNow(SavedChanges changes, Done done) {
  store::MutexLock lock(mutex_);
  Remember(changes);
  // A batch drops rows before it puts rows, so a row that goes now and was put by an earlier call
  // that still waits must not come back.
  for (const auto& gone : changes.gone) {
    std::erase_if(urgent_.files, [&gone](const SavedFile& row) {
      return row.file == gone.first && row.entry == gone.second;
    });
  }
  urgent_.Append(std::move(changes));
  waiting_.push_back(std::move(done));
  changed_.NotifyAll();
}

CheckpointerStats Checkpointer::Stats() const {
  store::MutexLock lock(mutex_);
  CheckpointerStats stats = stats_;
  stats.rows = rows_.size();
  return stats;
}

void Checkpointer::Run() {
  while (RunRound()) {
  }
}

// False when it was the last one.
bool Checkpointer::RunRound() {
  Round round;
  bool last = false;
  {
    store::MutexLock lock(mutex_);
    WaitForWork();
    if (abandoned_) {
      return false;
    }
    last = stopping_;
    round = TakeRound();
  }
  bool saved = Write(round);
  for (Done& done : round.waiting) {
    if (done) {
      done(saved ? store::Ok()
                 : Status(store::Fail(store::ErrorCode::kIo, "the state could not be saved")));
    }
  }
  return !last;
}

// When something urgent, progress or its sync is due, or the thread has to end.
store::TimePoint Checkpointer::NextDue() const {
  if (stopping_ || abandoned_) {
    return store::TimePoint::min();
  }
  store::TimePoint due = store::TimePoint::max();
  if (!waiting_.empty()) {
    due = retry_at_;
  }
  if (!dirty_.empty()) {
    due = std::min(due, std::max(next_progress_, retry_at_));
  }
  if (unsynced_) {
    due = std::min(due, next_sync_);
  }
  return due;
}

void Checkpointer::WaitForWork() {
  while (true) {
    store::TimePoint due = NextDue();
    if (clock_.Now() >= due) {
      return;
    }
    if (due == store::TimePoint::max()) {
      changed_.Wait(mutex_);
    } else {
      changed_.WaitUntil(mutex_, due);
    }
  }
}

Checkpointer::Round Checkpointer::TakeRound() {
  Round round;
  round.changes = std::move(urgent_);
  urgent_ = {};
  round.waiting = std::move(waiting_);
  waiting_.clear();
  store::TimePoint now = clock_.Now();
  round.sync = !round.waiting.empty() || stopping_ || (unsynced_ && now >= next_sync_);
  if (!dirty_.empty() && (round.sync || now >= next_progress_)) {
    for (const auto& [id, unused] : dirty_) {
      round.changes.files.push_back(rows_.at(id));
    }
    dirty_.clear();
    next_progress_ = now + options_.progress_interval;
  }
  return round;
}

// True when everything of the round is as durable as it had to be. What failed is kept for the next
// try, except that nobody is told twice.
bool Checkpointer::Write(Round& round) {
  Status saved = round.changes.empty() && round.sync ? store_->Sync()
                                                     : store_->Save(round.changes, round.sync);
  store::TimePoint now = clock_.Now();
  store::MutexLock lock(mutex_);
  if (saved) {
    ++stats_.saves;
    stats_.syncs += round.sync ? 1 : 0;
    stats_.error.clear();
    if (round.sync || !unsynced_) {
      next_sync_ = now + options_.sync_interval;
    }
    unsynced_ = !round.sync;
    return true;
  }
  if (stats_.error.empty()) {
    log_.Error(
        "checkpoints cannot be saved; collecting goes on, a crash now would repeat or miss lines",
        {saved.error()});
  }
  ++stats_.failures;
  stats_.error = saved.error().message();
  retry_at_ = now + kRetry;
  for (const SavedFile& row : round.changes.files) {
    RowId id{row.entry, row.file};
    if (rows_.contains(id)) {
      dirty_.try_emplace(std::move(id), row.offset);
    }
  }
  round.changes.files.clear();
  SavedChanges later = std::move(urgent_);
  urgent_ = std::move(round.changes);
  urgent_.Append(std::move(later));
  unsynced_ = true;
  next_sync_ = retry_at_;
  return false;
}

}  // namespace logagent
