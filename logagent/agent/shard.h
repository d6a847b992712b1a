// SPDX-License-Identifier: Apache-2.0
// Shard: the event loop of a set of files, one thread: it finds the files of its entries, reads,
// splits and produces without another queue, so the order within a file is free and back-pressure
// is "do not read". Commands and deliveries come by mail from any thread and never block. Files are
// pinned to shards by (device, inode). What it publishes (Snapshot) is immutable. Memory: the
// budget for lines, plus a few hundred bytes per open file; mail is bounded by what was produced
// and by what the control thread sends.
//
// Start position of a file (architecture 10.1): its checkpoint if there is one; else the end, if
// the entry was never applied before and the file existed when it was; else the beginning. It is
// durable before the first byte is produced; if the state directory cannot be written the file is
// read all the same.
#pragma once

#include "logagent/checkpoint/checkpointer.h"
#include "logagent/deliver/dead_letter.h"
#include "logagent/deliver/sink.h"
#include "logagent/tail/budget.h"
#include "logagent/tail/file_system.h"
#include "store/base/clock.h"
#include "store/base/log.h"

#include <absl/functional/any_invocable.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace logagent {

struct EntrySpec {
  EntryId id;
  std::string path;  // literal or glob; relative to the working directory if not absolute
  std::string topic;
  uint64_t max_line_bytes = 1 << 20;
  bool strip_cr = false;
};

enum class EntryState { kStarting, kRunning, kNoMatch, kDenied, kPaused, kError, kDraining };
// "RUNNING", "NO_MATCH", …: the words of the status key.
std::string_view Name(EntryState state);

// Bytes that were seen in a file and never handed over, by what became of them.
struct LostBytes {
  uint64_t truncated = 0;  // the content was cut off or replaced, and no copy of it was found
  uint64_t deleted = 0;    // the file went while it was not open: the agent was down
  uint64_t given_up = 0;   // deleted files held more than pinned_bytes_max
  uint64_t total() const { return truncated + deleted + given_up; }
};

struct FileStats {
  EntryId entry;
  std::string path;
  FileKey file;
  uint64_t size = 0;  // as of the last look, though it is not read now
  uint64_t read_offset = 0;
  uint64_t acked_offset = 0;
  uint64_t lag_bytes = 0;     // size minus acked
  double lag_seconds = 0;     // since the file last had nothing to acknowledge; 0 when it has not
  uint64_t window_bytes = 0;  // read and not saved as acknowledged: a crash now may repeat them
  uint64_t lines = 0;         // handed to the sink
  uint64_t bytes = 0;
  bool detached = false;  // rotated away or deleted, being drained
  bool open = true;
  std::string state;  // "reading", "waiting", ...: why it is or is not read now
  std::string error;
};

struct EntryStats {
  EntryId id;
  std::string path;
  std::string topic;
  EntryState state = EntryState::kStarting;
  std::string text;  // why, when not running
  uint64_t files = 0;
  uint64_t files_opened = 0;  // ever; unchanged entries show no reopened file after a reload
  uint64_t lines = 0;         // handed to the sink
  uint64_t bytes = 0;
  uint64_t bytes_copied = 0;  // read a second time, or copied, before the sink had them
  uint64_t lines_dead = 0;    // in the dead-letter spool
  LostBytes lost;
  uint64_t bytes_skipped = 0;  // NULs of holes
  uint64_t bytes_pinned = 0;   // of deleted files
  uint64_t files_open = 0;
  uint64_t window_bytes = 0;  // see FileStats
  uint64_t lag_bytes = 0;
  double lag_seconds = 0;
};

struct ShardSnapshot {
  std::vector<EntryStats> entries;
  std::vector<FileStats> files;
  std::string notify_fallback;  // why some directory is scanned instead of watched
  uint64_t scans = 0;
  uint64_t wakeups = 0;
};

struct ShardOptions {
  uint32_t index = 0;
  uint32_t count = 1;
  size_t chunk_bytes = 256 << 10;
  uint64_t quantum_bytes = 1 << 20;
  store::Duration rescan = std::chrono::seconds(60);  // safety scan while everything is watched
  store::Duration rescan_unwatched = std::chrono::seconds(1);
  store::Duration coalesce = std::chrono::milliseconds(5);  // between two looks at notifications
  store::Duration finish_quiet =
      std::chrono::seconds(5);  // a rotated file is done after this silence
  store::Duration publish = std::chrono::milliseconds(250);
  // Files that were read to their end and answered for stay open only so far; those read last stay.
  size_t open_files_max = 48;
  // Those with bytes to read are held open so far, whatever happens to their names meanwhile.
  size_t unread_files_max = 512;
  // None is opened for reading beyond; a file with lines in flight stays open.
  size_t read_files_max = SIZE_MAX;
  // Per entry: beyond it the deleted file that has waited longest is given up.
  uint64_t pinned_bytes_max = uint64_t{1} << 30;
};

class Shard {
 public:
  using Done = absl::AnyInvocable<void()>;

  // All references outlive the shard.
  Shard(const ShardOptions& options, FileSystem& files, Sink& sink, Checkpointer& checkpointer,
        DeadLetterSpool& spool, std::shared_ptr<Budget> budget, const store::Clock& clock,
        store::Logger log = {});
  // Ends the thread at once, without draining or a last checkpoint: what a kill would leave.
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Status Start();
  // For a caller that is its own loop (the torture model), in place of Start and Stop: one round on
  // the caller's thread. Returns when the next one is due, news apart.
  store::TimePoint Step();
  // Stops reading, waits up to `drain_max` for what is in flight, checkpoints. Idempotent.
  void Stop(store::Duration drain_max);

  // `first_applied`: the entry's key (EntryKey(path, topic)) was not known to the checkpointer
  // before this application of the configuration. `done` runs on the shard's thread after the first
  // look at its files.
  void StartEntry(EntrySpec spec, bool first_applied, Done done = {});
  // Stops reading at once, waits up to `drain_max` for acknowledgements, then closes. Rows stay: an
  // entry that comes back goes on where it was left.
  void StopEntry(EntryId id, store::Duration drain_max, Done done = {});
  // From the next line boundary on lines go to `topic`; rows move to the new EntryKey.
  void ChangeTopic(EntryId id, std::string topic, Done done = {});

  // What the sink decided, from its poller (see Poller).
  void Deliver(std::vector<Delivery> deliveries);

  // Never null; at most `publish` old while anything happens.
  std::shared_ptr<const ShardSnapshot> Snapshot() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace logagent
