// SPDX-License-Identifier: Apache-2.0
#include "store/wal/segment_pool.h"

#include "store/base/clock.h"
#include "store/base/failpoint.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace store::wal {
namespace {

// A full disk is the one error that time may heal: the spare holds nothing yet.
constexpr std::chrono::seconds kFullDiskPause{1};

}  // namespace

SegmentPool::SegmentPool(WalFileSystem& files, std::string directory, uint64_t segment_bytes,
                         bool threaded)
    : files_(files),
      directory_(std::move(directory)),
      segment_bytes_(segment_bytes),
      threaded_(threaded) {}

std::string SegmentPool::PathOf(const std::string& directory, uint64_t sequence) {
  return JoinPath(directory, fmt::format("{:016}.wal", sequence));
}

void SegmentPool::Start(uint64_t next_sequence) {
  {
    MutexLock lock(mutex_);
    next_sequence_ = next_sequence;
  }
  if (threaded_) helper_ = Thread("wal-helper", [this] { Run(); });
}

void SegmentPool::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  helper_.Join();
}

Result<SegmentPool::Spare> SegmentPool::Take(WhenFull when_full) {
  while (true) {
    {
      MutexLock lock(mutex_);
      while (threaded_ && spares_.empty() && !error_ && !stopping_ &&
             (when_full == WhenFull::kWait || !full_)) {
        changed_.Wait(mutex_);
      }
      if (!spares_.empty()) {
        Spare spare = std::move(spares_.front());
        spares_.pop_front();
        changed_.NotifyAll();
        return spare;
      }
      if (error_) return Fail(*error_);
      if (stopping_) return Fail(ErrorCode::kStopped, "the log is closed");
      if (threaded_) return Fail(*full_);
    }
    Result<bool> worked = WorkOnce();
    if (!worked) return Fail(std::move(worked).error());
  }
}

void SegmentPool::Recycle(std::string path) {
  {
    MutexLock lock(mutex_);
    released_.push_back(std::move(path));
  }
  changed_.NotifyAll();
}

size_t SegmentPool::ready() const {
  MutexLock lock(mutex_);
  return spares_.size();
}

bool SegmentPool::out_of_space() const {
  MutexLock lock(mutex_);
  return full_.has_value();
}

void SegmentPool::Run() {
  SystemClock clock;
  while (true) {
    Result<bool> worked = WorkOnce();
    MutexLock lock(mutex_);
    if (stopping_) return;
    full_.reset();
    if (worked && *worked) continue;
    if (worked) {
      while (!stopping_ && released_.empty() && spares_.size() >= kSparesMax) changed_.Wait(mutex_);
      continue;
    }
    changed_.NotifyAll();
    if (worked.error().code() != ErrorCode::kNoSpace) {
      error_ = std::move(worked).error();
      return;
    }
    full_ = std::move(worked).error();
    changed_.WaitUntil(mutex_, clock.Now() + kFullDiskPause);
  }
}

Result<bool> SegmentPool::WorkOnce() {
  std::optional<std::string> released;
  uint64_t sequence = 0;
  {
    MutexLock lock(mutex_);
    bool full = spares_.size() >= kSparesMax;
    if (full && released_.empty()) return false;
    if (!released_.empty()) {
      released = std::move(released_.front());
      released_.pop_front();
    }
    if (!full) sequence = next_sequence_++;
  }
  if (sequence == 0) {
    RETURN_IF_ERROR(files_.Remove(*released));
    RETURN_IF_ERROR(files_.SyncDirectory(directory_));
    return true;
  }
  Result<Spare> spare = Prepare(sequence, released);
  if (!spare) return Fail(std::move(spare).error());
  {
    MutexLock lock(mutex_);
    spares_.push_back(*std::move(spare));
  }
  changed_.NotifyAll();
  return true;
}

Result<SegmentPool::Spare> SegmentPool::Prepare(uint64_t sequence,
                                                const std::optional<std::string>& recycled) {
  Spare spare{sequence, PathOf(directory_, sequence), nullptr, segment_bytes_};
  if (recycled) RETURN_IF_ERROR(files_.Rename(*recycled, spare.path));
  Result<std::unique_ptr<WalFile>> file =
      recycled ? files_.Open(spare.path) : files_.Create(spare.path);
  if (!file) return Fail(std::move(file).error());
  spare.file = *std::move(file);
  Result<uint64_t> size = spare.file->Size();
  if (!size) return Fail(std::move(size).error());
  if (*size < segment_bytes_) {
    Status reserved = spare.file->Preallocate(segment_bytes_);
    if (!reserved) {
      // Not to pile up half-made files while the disk is full.
      RETURN_IF_ERROR(files_.Remove(spare.path));
      return Fail(std::move(reserved).error());
    }
    RETURN_IF_ERROR(spare.file->Sync());
  }
  // The name must be there after a crash before anything in the file counts, and the old name must
  // not come back once the file is written again.
  RETURN_IF_ERROR(files_.SyncDirectory(directory_));
  FAILPOINT("wal-spare-ready");
  return spare;
}

}  // namespace store::wal
