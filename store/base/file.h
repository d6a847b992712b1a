// SPDX-License-Identifier: Apache-2.0
// Files as the store and the agent need them: small ones read whole and replaced atomically
// (temporary file, fsync, rename, fsync of the directory), locks between processes, directories,
// free space. Every error names the path. An fsync that failed is never tried again by these
// functions: the kernel may have dropped the pages, so what the caller must do is stop. Blocking:
// not on an event loop. Any thread.
#pragma once

#include "store/base/error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace store {

// Owns a file descriptor; -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { Reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  // Closes what is held, without a look at close's answer: data that matters was synced before.
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

inline constexpr size_t kReadFileBytesMax = size_t{1} << 30;

// open(2), close-on-exec.
Result<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode = 0600);
// The whole file; longer than `bytes_max` is kInvalidArgument.
Result<std::string> ReadFile(const std::string& path, size_t bytes_max = kReadFileBytesMax);
// All bytes at the current position; `path` is for the message.
Status WriteAll(int fd, std::string_view bytes, const std::string& path);
// fdatasync.
Status SyncFile(int fd, const std::string& path);
// After a crash at any moment the file has either its old or its new contents; when this returns,
// the new.
Status ReplaceFile(const std::string& path, std::string_view contents, mode_t mode = 0600);
// Makes creations, renames and removals in the directory durable.
Status SyncDirectory(const std::string& path);
// rename(2) and fsync of the target's directory.
Status RenameFile(const std::string& from, const std::string& to);

bool FileExists(const std::string& path);
Result<uint64_t> FileSize(const std::string& path);
// The directory and its missing parents, durable when this returns; existing ones are left as they
// are.
Status MakeDirs(const std::string& path, mode_t mode = 0700);
// The file or the directory with everything in it; not being there is no error.
Status RemoveAll(const std::string& path);
// Names without "." and "..", sorted.
Result<std::vector<std::string>> ListDirectory(const std::string& path);

// "a/b" of "a/b/c"; "." if there is no slash, "/" for files of the root.
std::string DirectoryOf(std::string_view path);
std::string JoinPath(std::string_view directory, std::string_view name);

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // to a process that is not root
};
Result<DiskSpace> GetDiskSpace(const std::string& path);

// Held until the object goes or the process dies. The file stays; its contents are not touched.
class FileLock {
 public:
  // kBusy if another process (or another FileLock of this one) holds it.
  static Result<FileLock> Acquire(const std::string& path);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace store
