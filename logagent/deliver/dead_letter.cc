// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/dead_letter.h"

#include "logagent/deliver/dead_letter_reader.h"
#include "logagent/model/model.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

constexpr size_t kCopyBytes = 256 << 10;

std::string HeaderOf(const DeadLetter& letter, int64_t time_us) {
  return fmt::format(
      "{{\"topic\":{},\"path\":{},\"device\":{},\"inode\":{},\"generation\":{},\"offset\":{},"
      "\"bytes\":{},\"reason\":{},\"time_us\":{}}}\n",
      JsonQuoted(letter.topic), JsonQuoted(letter.path), letter.file.device, letter.file.inode,
      letter.file.generation, letter.offset, letter.bytes, JsonQuoted(letter.reason), time_us);
}

}  // namespace

DeadLetterSpool::DeadLetterSpool(Path file, uint64_t bytes_max, const store::Clock& clock)
    : file_(std::move(file)), bytes_max_(bytes_max), clock_(clock) {}

DeadLetterSpool::~DeadLetterSpool() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Status DeadLetterSpool::OpenLocked() {
  if (fd_ >= 0) {
    return store::Ok();
  }
  RETURN_IF_ERROR(store::MakeDirs(file_.parent_path().string()));
  auto fd = store::OpenFile(file_.string(), O_RDWR | O_CREAT | O_APPEND, 0600);
  RETURN_IF_ERROR(fd);
  struct stat status;
  if (fstat(fd->get(), &status) != 0) {
    return store::Fail(store::ErrnoError(errno, file_.string()));
  }
  RETURN_IF_ERROR(store::SyncDirectory(file_.parent_path().string()));
  size_ = static_cast<uint64_t>(status.st_size);
  looked_at_ = false;
  fd_ = fd->Release();
  return store::Ok();
}

// The file under its name, locked. One that was moved away meanwhile is synced and let go.
Status DeadLetterSpool::LockLocked() {
  while (true) {
    RETURN_IF_ERROR(OpenLocked());
    struct stat ours;
    struct stat named;
    if (flock(fd_, LOCK_EX) != 0 || fstat(fd_, &ours) != 0) {
      return store::Fail(store::ErrnoError(errno, file_.string()));
    }
    bool there = stat(file_.c_str(), &named) == 0;
    if (there && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
      CutTornLocked();
      return store::Ok();
    }
    Status synced = store::SyncFile(fd_, file_.string());
    close(fd_);
    fd_ = -1;
    size_ = 0;
    RETURN_IF_ERROR(synced);
  }
}

// What a kill left of the last record, before the first one of this life. Not to find it, or not to
// get rid of it, is no reason to take no record: who reads the spool passes over it.
void DeadLetterSpool::CutTornLocked() {
  if (std::exchange(looked_at_, true) || size_ == 0) {
    return;
  }
  auto torn = DeadLetterReader::FindTorn(file_);
  if (torn && *torn) {
    CutLocked(**torn);
  }
}

void DeadLetterSpool::UnlockLocked() {
  if (fd_ >= 0) {
    flock(fd_, LOCK_UN);
  }
}

Status DeadLetterSpool::WriteLocked(std::string_view bytes) {
  RETURN_IF_ERROR(store::WriteAll(fd_, bytes, file_.string()));
  size_ += bytes.size();
  return store::Ok();
}

Status DeadLetterSpool::BeginLocked(const DeadLetter& letter) {
  if (size_ + letter.bytes > bytes_max_) {
    return store::Fail(
        store::ErrorCode::kNoSpace,
        fmt::format("{}: the dead-letter spool is at its limit of {} bytes; move it away",
                    file_.string(), bytes_max_));
  }
  return WriteLocked(HeaderOf(letter, clock_.WallMicros()));
}

// Half a record must not stay in front of the next one. If even this fails, the length in the
// header of the half record still tells a reader that it is not whole.
void DeadLetterSpool::CutLocked(uint64_t size) {
  if (fd_ >= 0 && ftruncate(fd_, static_cast<off_t>(size)) == 0) {
    size_ = size;
  }
}

Status DeadLetterSpool::Append(const DeadLetter& letter, std::string_view payload) {
  auto read = [&](uint64_t at, std::span<char> into) -> Result<size_t> {
    size_t count = payload.copy(into.data(), into.size(), at);
    return count;
  };
  return AppendStreamed(letter, read);
}

Status DeadLetterSpool::AppendStreamed(
    const DeadLetter& letter,
    absl::FunctionRef<Result<size_t>(uint64_t at, std::span<char> into)> read) {
  store::MutexLock lock(mutex_);
  RETURN_IF_ERROR(LockLocked());
  uint64_t begin = size_;
  Status written = BeginLocked(letter);
  std::string buffer(std::min<uint64_t>(letter.bytes, kCopyBytes), '\0');
  for (uint64_t at = 0; written && at < letter.bytes;) {
    size_t wanted = std::min<uint64_t>(letter.bytes - at, buffer.size());
    auto count = read(at, std::span<char>(buffer.data(), wanted));
    if (!count) {
      written = store::Fail(count.error());
    } else if (*count == 0) {
      written = store::Fail(store::ErrorCode::kNotFound, "the line is no longer in its file");
    } else {
      written = WriteLocked(std::string_view(buffer.data(), *count));
      at += *count;
    }
  }
  if (written) {
    written = WriteLocked("\n");
  }
  if (!written) {
    CutLocked(begin);
  }
  UnlockLocked();
  return written;
}

Status DeadLetterSpool::Sync() {
  store::MutexLock lock(mutex_);
  return fd_ < 0 ? store::Ok() : store::SyncFile(fd_, file_.string());
}

uint64_t DeadLetterSpool::size_bytes() const {
  store::MutexLock lock(mutex_);
  return size_;
}

}  // namespace logagent
