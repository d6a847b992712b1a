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
        tracker(reader->offset(), RangeId(task_id << 40)),
        low_mark(reader->mark()) {}

  // Only acknowledged bytes are named.
  SavedFile Row() const;
  bool drained() const {
    return !waiting && tracker.unanswered() == 0 && tracker.low_water() == reader->offset();
  }

  const TaskId id;  // ranges of this task are numbered from id << 40
  Entry& entry;
  Path path;  // the last name it was seen under
  std::unique_ptr<Reader> reader;
  State state = State::kStarting;
  AckTracker tracker;
  std::deque<std::pair<uint64_t, TailMark>> marks;  // ends of the ranges in flight
  TailMark low_mark;                                // of the bytes before tracker.low_water()
  std::optional<WaitingBatch> waiting;
  bool detached = false;          // no name of it matches any more
  bool at_end = false;            // the last read found nothing more
  store::TimePoint quiet_since;   // when it last gave anything
  store::TimePoint behind_since;  // when it last had nothing unacknowledged
  store::TimePoint retry_at;      // not read before this
  std::string error;
};

struct Entry {
  EntrySpec spec;
  std::string key;  // EntryKey(path, topic)
  BudgetSharePtr share;
  bool first_applied = false;  // until the first scan: files that exist start at their end
  bool scanned = false;
  bool draining = false;
  store::TimePoint drain_until;
  Shard::Done stopped;

  std::map<std::pair<uint64_t, uint64_t>, std::unique_ptr<FileTask>> tasks;  // by device, inode
  std::vector<Path> directories;
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
  uint64_t bytes_lost = 0;
};

}  // namespace logagent
