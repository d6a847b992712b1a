// SPDX-License-Identifier: Apache-2.0
// SegmentPool: spare segments, prepared ahead of need under the name they will be used by, so that
// no append waits for the disk to find room. A released segment is renamed as it is (its blocks are
// allocated and were written, which saves the file system a journal commit with each fdatasync); a
// new one is preallocated. At most kSparesMax spares; further released segments are removed. The
// work is done by a helper thread, or within Take when `threaded` is false (tests that count file
// operations). A full disk is the one error that is tried again: meanwhile out_of_space() says so
// and Take waits, or is refused, as its caller wants. Take from one thread, Recycle from another;
// Stop also ends a Take that waits.
#pragma once

#include "store/base/error.h"
#include "store/base/thread.h"
#include "store/wal/wal_file.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace store::wal {

class SegmentPool {
 public:
  static constexpr size_t kSparesMax = 2;

  struct Spare {
    uint64_t sequence = 0;
    std::string path;
    std::shared_ptr<WalFile> file;
    uint64_t bytes = 0;
  };

  SegmentPool(WalFileSystem& files, std::string directory, uint64_t segment_bytes, bool threaded);
  ~SegmentPool() { Stop(); }

  // `next_sequence` is above every name in the directory.
  void Start(uint64_t next_sequence);
  void Stop();
  enum class WhenFull : uint8_t { kWait, kRefuse };
  // The next segment; waits until it is ready. Any error but kNoSpace is final.
  Result<Spare> Take(WhenFull when_full);
  void Recycle(std::string path);
  size_t ready() const;
  // The last try to make a spare found the disk full.
  bool out_of_space() const;

  static std::string PathOf(const std::string& directory, uint64_t sequence);

 private:
  void Run();
  // One preparation or removal; false: nothing to do.
  Result<bool> WorkOnce();
  Result<Spare> Prepare(uint64_t sequence, const std::optional<std::string>& recycled);

  WalFileSystem& files_;
  const std::string directory_;
  const uint64_t segment_bytes_;
  const bool threaded_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Spare> spares_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> released_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 1;
  std::optional<Error> error_ ABSL_GUARDED_BY(mutex_);
  std::optional<Error> full_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Thread helper_;
};

}  // namespace store::wal
