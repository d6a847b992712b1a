// SPDX-License-Identifier: Apache-2.0
// Shard::Loop: the thread behind Shard. It waits for notifications and mail, decides which entry is
// scanned and which file is read next, and keeps every reason for a file not being read now (start
// not durable, sink full, topic paused, error) with the moment it is looked at again. FileSet knows
// which files there are, FileFeed how one is read. Everything here runs on the shard's thread
// except what says otherwise.
#pragma once

#include "logagent/agent/file_feed.h"
#include "logagent/agent/file_set.h"
#include "logagent/agent/shard.h"
#include "logagent/agent/shard_mail.h"
#include "logagent/tail/schedule.h"
#include "store/base/thread.h"

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace logagent {

class Shard::Loop {
 public:
  Loop(const ShardOptions& options, FileSystem& files, Sink& sink, Checkpointer& checkpointer,
       DeadLetterSpool& spool, std::shared_ptr<Budget> budget, const store::Clock& clock,
       store::Logger log);
  ~Loop();

  // Any thread.
  void Start();
  void Stop(store::Duration drain_max);
  // The thread's own, or its driver's.
  store::TimePoint Step();
  void Post(store::Action action) { mail_->Post(std::move(action)); }
  void Deliver(std::vector<Delivery> deliveries) { mail_->Post(std::move(deliveries)); }
  std::shared_ptr<const ShardSnapshot> Snapshot() const;

  // Commands.
  void StartEntry(EntrySpec spec, bool first_applied, Done done);
  void StopEntry(EntryId id, store::Duration drain_max, Done done);
  void ChangeTopic(EntryId id, std::string topic, Done done);

 private:
  void Run();
  bool Round();
  void TakeMail();
  void HandleFormer(const Delivery& delivery, std::set<TaskId>& progressed);
  void HandleDelivery(FileTask& task, const Delivery& delivery, std::set<TaskId>& progressed);
  void HandleDeliveries(const std::vector<Delivery>& deliveries);
  void Wait();
  store::TimePoint NextDue(store::TimePoint now) const;

  void TakeNotifications();
  void OnNotify(const NotifyEvent& event);
  void OnAppeared(Entry& entry, const NotifyEvent& event);
  void OpenAppeared();
  void ScanSoon(Entry& entry);
  void ScanDue();
  void Scan(Entry& entry);
  void NoteRename(const Path& from, const Path& to);
  void OpenRenamed();
  void Begin(Entry& entry, FileSet::Scanned& scanned, bool applied);
  bool Open(FileTask& task);
  void SaveStarts(Entry& entry, const std::vector<TaskId>& opened, const std::vector<FileKey>& gone,
                  bool applied);
  void BeginReading(const std::vector<TaskId>& tasks);

  void ReadSome();
  void After(FileTask& task, const FileFeed::Fed& fed);
  void OnTruncated(FileTask& task);
  void LookAgain();
  void CheckPaused(Entry& entry);
  void CheckDetached(FileTask& task);
  void CheckPinned();
  void GiveUp(FileTask& task);
  void Finish(FileTask& task);
  void Ready(FileTask& task);
  void CloseDrained();
  bool AllAnswered(const Entry& entry) const;
  void LookAtWaiting();
  void Publish(bool force);
  void Describe(Entry& entry, ShardSnapshot& snapshot) const;

  const ShardOptions options_;
  Sink& sink_;
  Checkpointer& checkpointer_;
  const store::Clock& clock_;
  const store::Logger log_;
  store::LogEvery log_every_;
  std::shared_ptr<ShardMail> mail_;
  std::unique_ptr<Notifier> notifier_;
  FileSet set_;
  FileFeed feed_;
  Schedule schedule_;
  // In order, so that a seeded test replays exactly.
  std::set<TaskId> blocked_;   // no memory or a full sink
  std::set<TaskId> later_;     // until their retry_at
  std::set<TaskId> detached_;  // watched by time: events may not come any more
  // Renames since the last look: first name, present name.
  std::vector<std::pair<Path, Path>> renamed_;
  // Names that appeared in the last look at the notifications, and whose directories they are in.
  std::vector<std::pair<EntryId, Path>> appeared_;
  store::TimePoint next_notify_;  // notifications are not looked at before this
  store::TimePoint next_look_;    // blocked, later, paused and detached ones
  store::TimePoint next_publish_;
  TaskId looked_last_ = 0;
  bool changed_ = true;  // since the last snapshot
  bool draining_ = false;
  uint64_t scans_ = 0;
  uint64_t wakeups_ = 0;

  std::atomic<bool> abandon_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<store::Duration::rep> drain_until_ = 0;
  mutable store::Mutex snapshot_mutex_;
  std::shared_ptr<const ShardSnapshot> snapshot_ ABSL_GUARDED_BY(snapshot_mutex_);
  store::Thread thread_;
};

}  // namespace logagent
