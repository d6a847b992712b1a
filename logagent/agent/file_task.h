// SPDX-License-Identifier: Apache-2.0
// The state a shard keeps per entry and per (file, entry): plain structs, used on the shard's
// thread only. An entry owns its tasks; a task owns its reader. Bounded by the files that match.
#pragma once

#include "logagent/agent/shard.h"
#include "logagent/checkpoint/codec.h"
#include "logagent/deliver/ack_tracker.h"
#include "logagent/deliver/sink.h"
#include "logagent/tail/reader.h"
#include "logagent/tail/schedule.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace logagent {

struct Entry;

// A batch the sink had no room for, with what its range will be.
struct WaitingBatch {
  Batch batch;
  uint64_t end = 0;
  TailMark mark;
  uint64_t bytes = 0;
};

struct FileTask {
  enum class State {
    kStarting,  // its start position is not durable yet
    kActive,
    kRewinding,  // something was rejected: waits until all that is in flight is answered
  };

  FileTask(TaskId task_id, Entry& owner, Path name, std::unique_ptr<Reader> opened)
      : id(task_id),
        entry(owner),
        path(std::move(name)),
        reader(std::move(opened)),
        tracker(reader->offset(), task_id),
        low_mark(reader->mark()) {}

  // Only acknowledged bytes are named.
  SavedFile Row() const;
  bool drained() const {
    return !waiting && tracker.unanswered() == 0 && tracker.low_water() == reader->offset();
  }

  const TaskId id;
  Entry& entry;
  Path path;    // the last name it was seen under
  Path target;  // where it really is, when that name is a symbolic link
  std::unique_ptr<Reader> reader;
  State state = State::kStarting;
  AckTracker tracker;                  // its series is a TaskId that is used once
  std::map<uint64_t, TailMark> marks;  // by the ends of the ranges in flight
  TailMark low_mark;                   // of the bytes before tracker.low_water()
  std::optional<WaitingBatch> waiting;
  bool detached = false;  // no name of it matches any more
  bool away = false;      // neither is its directory there: it may come back
  uint64_t pinned = 0;    // bytes of a deleted file that stay on the disk because of us
  store::TimePoint detached_since;
  uint64_t seen = 0;       // when it was last there under a name (DirectoryNames)
  uint64_t last_used = 0;  // in the order of FileSet's turns; 0 while its file is closed
  uint64_t lines = 0;      // handed to the sink
  uint64_t bytes = 0;
  uint64_t size_by_name = 0;      // told by its name while it is closed; for lag only
  bool at_end = false;            // the last read found nothing more
  store::TimePoint quiet_since;   // when it last gave anything
  store::TimePoint behind_since;  // when it last had nothing unacknowledged
  store::TimePoint retry_at;      // not read before this
  std::string error;
};

// A new file that so far equals the beginning of another one: copytruncate may be making it.
struct HeldCopy {
  Path path;
  uint64_t size = 0;
  store::TimePoint since;  // when it last grew
};

// What became of ranges of a content that is no longer where it was read.
struct FormerRanges {
  TaskId heir = 0;  // goes on in the copy; 0: there is none, and `tracker` keeps count
  uint64_t end = 0;
  AckTracker tracker{0, 0};
};

using InodeId = std::pair<uint64_t, uint64_t>;  // device, inode

struct Entry {
  EntrySpec spec;
  std::string key;  // EntryKey(path, topic)
  BudgetSharePtr share;
  bool first_applied = false;  // until the first scan: files that exist start at their end
  bool scanned = false;
  bool draining = false;
  store::TimePoint drain_until;
  Shard::Done stopped;

  std::map<InodeId, std::unique_ptr<FileTask>> tasks;
  std::map<InodeId, HeldCopy> held;
  // By series, until they are answered. Keys of files are no help: that of a content which is gone
  // may be used again.
  std::map<uint64_t, FormerRanges> formers;
  // Rotated away, drained and closed: their rows stay for a while, so that they are not taken for
  // files nobody has read.
  std::deque<SavedFile> finished;
  std::vector<Path> directories;  // FileSet's: as of the last look that succeeded
  std::string unwatched;          // why a directory is scanned instead
  bool events_lost = false;       // since the last scan
  std::string scan_error;
  bool denied = false;
  store::TimePoint next_scan;  // of the safety scan, or sooner when something happened
  store::TimePoint scan_not_before;

  bool paused = false;  // its topic cannot take lines now
  std::string pause_text;
  store::TimePoint pause_check;
  Backoff pause_backoff{std::chrono::milliseconds(2), std::chrono::milliseconds(250)};

  uint64_t files_opened = 0;
  uint64_t lines = 0;
  uint64_t bytes = 0;
  uint64_t bytes_copied = 0;
  uint64_t lines_dead = 0;
  LostBytes lost;
  uint64_t bytes_skipped = 0;  // NULs of holes
  uint64_t bytes_pinned = 0;
  bool pinned_warned = false;
};

}  // namespace logagent
