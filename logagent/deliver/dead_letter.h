// SPDX-License-Identifier: Apache-2.0
// DeadLetterSpool: the file that takes what can never be sent: lines longer than the limit and
// records the broker refuses for good. A record is one JSON line (topic, path, device, inode,
// offset, bytes, reason, time), then exactly `bytes` raw bytes and a newline. A record counts once
// Sync returned; only then may its bytes be acknowledged. Any thread (a mutex serialises; rare).
// While a record is written the file is locked (flock): who locks and renames it has it for
// himself, and the next record begins a new one. Half a record that a kill left at the end of the
// file is cut off before the first one of this life. Bounded by `bytes_max`: beyond it Append
// fails, the entry waits and says so; nothing is deleted behind the operator's back.
#pragma once

#include "logagent/tail/file_system.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/thread.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace logagent {

struct DeadLetter {
  std::string_view topic;
  std::string_view path;
  FileKey file;
  uint64_t offset = 0;  // of the first byte in the file
  uint64_t bytes = 0;
  std::string_view reason;
};

class DeadLetterSpool {
 public:
  // Creates the file at the first record.
  DeadLetterSpool(Path file, uint64_t bytes_max, const store::Clock& clock);
  ~DeadLetterSpool();
  DeadLetterSpool(const DeadLetterSpool&) = delete;
  DeadLetterSpool& operator=(const DeadLetterSpool&) = delete;

  Status Append(const DeadLetter& letter, std::string_view payload);
  // For payloads that are not held in memory: `read` fills the buffer with the bytes at an offset
  // of the payload and returns how many; the record is cut off again when it fails.
  Status AppendStreamed(const DeadLetter& letter,
                        absl::FunctionRef<Result<size_t>(uint64_t at, std::span<char> into)> read);
  Status Sync();
  uint64_t size_bytes() const;
  const Path& file() const { return file_; }

 private:
  Status LockLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutTornLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UnlockLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status OpenLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status WriteLocked(std::string_view bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status BeginLocked(const DeadLetter& letter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutLocked(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Path file_;
  const uint64_t bytes_max_;
  const store::Clock& clock_;
  mutable store::Mutex mutex_;
  int fd_ ABSL_GUARDED_BY(mutex_) = -1;
  uint64_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  bool looked_at_ ABSL_GUARDED_BY(mutex_) = false;  // for what a kill left at its end
};

}  // namespace logagent
