// SPDX-License-Identifier: Apache-2.0
// WalLogStore: the raft log in segments of its own format (record.h, README.md). A group of units
// becomes one buffer, one write and at most one fdatasync; while it runs the next group collects in
// the log writer. Threads as LogStore says; a mutex guards the index table and the list of
// segments, and no I/O happens under it. Any error is final: later calls return it. Bounded: the
// write buffer by write_bytes_max (one larger record alone), the index table by the length of the
// log, two spare segments.
#pragma once

#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/base/timing.h"
#include "store/wal/log_state.h"
#include "store/wal/log_store.h"
#include "store/wal/record.h"
#include "store/wal/segment.h"
#include "store/wal/segment_pool.h"
#include "store/wal/wal_file.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace store::wal {

struct WalOptions {
  std::string directory;
  Identity identity;
  uint64_t seed = 0;                  // of the segments' salts: EntropySeed() in production
  uint64_t segment_bytes = 64 << 20;  // smaller in tests only
  size_t write_bytes_max = 4 << 20;
  bool helper_thread = true;  // false: segments are prepared by whoever needs them
};

class WalLogStore final : public LogStore {
 public:
  WalLogStore(WalFileSystem& files, WalOptions options);
  ~WalLogStore() override;

  Result<LogImage> Load() override;
  Status Append(std::span<const raft::PersistUnit* const> group) override;
  Result<std::vector<raft::EntryPtr>> Read(raft::Index from, raft::Index to,
                                           size_t bytes_max) const override;
  Status TruncatePrefix(raft::Index through, raft::Term term) override;

  // Any thread: an Append that waits for room on a full disk fails with kStopped, now and from now
  // on. The way to Close for a member that must end.
  void StopWaiting() { pool_.Stop(); }
  // A clean end: everything is synced and a last mark says so. No call after it. The destructor
  // does not.
  Status Close();

  // Before the first Append: how long each fsync takes.
  void ObserveSyncs(const Timing& timing) { sync_timing_ = timing; }

  // Gauges, any thread.
  uint64_t written_bytes() const { return written_bytes_.load(std::memory_order_relaxed); }
  uint64_t syncs() const { return syncs_.load(std::memory_order_relaxed); }
  size_t segments() const;
  size_t spare_segments() const { return pool_.ready(); }
  // The disk has no room for the next segment; an Append that needs it waits.
  bool out_of_space() const { return pool_.out_of_space(); }

 private:
  struct Source {
    Segment segment;
    uint64_t offset = 0;
    raft::Index end;  // first index not to be taken from it
  };

  Status StartAfter(const Position& end, const std::vector<Change>& tail,
                    std::vector<raft::EntryPtr>* entries);
  SegmentHeader MakeHeader(const Position& predecessor);
  Status OpenSegment(SegmentHeader header, uint64_t bytes_needed, SegmentPool::WhenFull when_full);
  Status WriteHeader();
  Status AppendGroup(std::span<const raft::PersistUnit* const> group);
  Status AppendUnit(const raft::PersistUnit& unit);
  Status Put(const Change& change);
  Status MakeRoom(size_t record_bytes);
  void PutMark();
  Status WriteBuffer();
  Status SyncActive();
  std::vector<Source> FindSources(raft::Index from, raft::Index to) const;
  static Status ReadSource(const Source& source, raft::Index from, size_t bytes_max, size_t* bytes,
                           std::vector<raft::EntryPtr>* entries);

  WalFileSystem& files_;
  const WalOptions options_;
  SegmentPool pool_;
  Random random_;

  // Of the appending thread.
  Segment active_;
  uint64_t active_bytes_ = 0;  // its capacity
  uint64_t end_ = 0;           // where buffer_ goes
  std::string buffer_;         // starts with a sync mark when not empty
  Position synced_;            // fdatasync has returned for everything before it
  std::optional<Error> failed_;
  bool closed_ = false;

  mutable Mutex mutex_;
  // Written by the appending thread and TruncatePrefix.
  LogState state_ ABSL_GUARDED_BY(mutex_);
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mutex_);  // the chain, oldest first, active last
  uint64_t durable_header_ ABSL_GUARDED_BY(mutex_) = 0;   // sequence of the newest one

  std::atomic<uint64_t> written_bytes_ = 0;
  std::atomic<uint64_t> syncs_ = 0;
  Timing sync_timing_;
};

}  // namespace store::wal
