// SPDX-License-Identifier: Apache-2.0
#include "store/base/file.h"

#include "store/base/failpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace store {
namespace {

constexpr size_t kReadChunkBytes = size_t{64} << 10;

// Calls again what a signal interrupted.
template <std::invocable Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

tl::unexpected<Error> FailErrno(std::string_view verb, std::string_view path) {
  int error_number = errno;
  return Fail(ErrnoError(error_number, fmt::format("{} {}", verb, path)));
}

tl::unexpected<Error> FailCode(std::string_view verb, std::string_view path,
                               const std::error_code& code) {
  return Fail(ErrnoError(code.value(), fmt::format("{} {}", verb, path)));
}

Status WriteSynced(const std::string& path, std::string_view contents, mode_t mode) {
  Result<UniqueFd> fd = OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  RETURN_IF_ERROR(fd);
  RETURN_IF_ERROR(WriteAll(fd->get(), contents, path));
  return SyncFile(fd->get(), path);
}

}  // namespace

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode) {
  int fd = Retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return FailErrno("open", path);
  return UniqueFd(fd);
}

Result<std::string> ReadFile(const std::string& path, size_t bytes_max) {
  Result<UniqueFd> fd = OpenFile(path, O_RDONLY);
  RETURN_IF_ERROR(fd);
  std::string contents;
  while (true) {
    size_t size = contents.size();
    contents.resize(size + kReadChunkBytes);
    ssize_t n = Retry([&] { return ::read(fd->get(), contents.data() + size, kReadChunkBytes); });
    if (n < 0) return FailErrno("read", path);
    contents.resize(size + static_cast<size_t>(n));
    if (n == 0) return contents;
    if (contents.size() > bytes_max) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("read {}: longer than the {} bytes allowed", path, bytes_max));
    }
  }
}

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = Retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n < 0) return FailErrno("write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Ok();
}

Status SyncFile(int fd, const std::string& path) {
  if (Retry([&] { return ::fdatasync(fd); }) < 0) return FailErrno("fsync", path);
  return Ok();
}

Status ReplaceFile(const std::string& path, std::string_view contents, mode_t mode) {
  // One fixed name: two writers of one file exclude each other by other means, and a crash leaves
  // at most one file behind, which the next call overwrites.
  std::string temporary = path + ".tmp";
  Status done = WriteSynced(temporary, contents, mode);
  FAILPOINT("file-replace");
  if (done) done = RenameFile(temporary, path);
  FAILPOINT("file-replaced");
  if (!done) ::unlink(temporary.c_str());
  return done;
}

Status SyncDirectory(const std::string& path) {
  Result<UniqueFd> fd = OpenFile(path, O_RDONLY | O_DIRECTORY);
  RETURN_IF_ERROR(fd);
  if (Retry([&] { return ::fsync(fd->get()); }) < 0) return FailErrno("fsync directory", path);
  return Ok();
}

Status RenameFile(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) < 0) {
    return FailErrno(fmt::format("rename {} to", from), to);
  }
  return SyncDirectory(DirectoryOf(to));
}

bool FileExists(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0;
}

Result<uint64_t> FileSize(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) < 0) return FailErrno("stat", path);
  return static_cast<uint64_t>(status.st_size);
}

Status MakeDirs(const std::string& path, mode_t mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), mode) == 0) {
      RETURN_IF_ERROR(SyncDirectory(DirectoryOf(part)));
    } else if (errno != EEXIST) {
      return FailErrno("mkdir", part);
    }
    if (slash == std::string::npos) break;
  }
  struct stat status{};
  if (::stat(path.c_str(), &status) < 0) return FailErrno("stat", path);
  if (!S_ISDIR(status.st_mode)) {
    errno = ENOTDIR;
    return FailErrno("mkdir", path);
  }
  return Ok();
}

Status RemoveAll(const std::string& path) {
  std::error_code code;
  std::filesystem::remove_all(path, code);
  if (code) return FailCode("remove", path, code);
  return Ok();
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code code;
  std::filesystem::directory_iterator entry(path, code);
  while (!code && entry != std::filesystem::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(code);
  }
  if (code) return FailCode("list", path, code);
  std::ranges::sort(names);
  return names;
}

std::string DirectoryOf(std::string_view path) {
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

Result<DiskSpace> GetDiskSpace(const std::string& path) {
  struct statvfs status{};
  if (Retry([&] { return ::statvfs(path.c_str(), &status); }) < 0) {
    return FailErrno("statvfs", path);
  }
  return DiskSpace{.total_bytes = uint64_t{status.f_blocks} * status.f_frsize,
                   .available_bytes = uint64_t{status.f_bavail} * status.f_frsize};
}

Result<FileLock> FileLock::Acquire(const std::string& path) {
  Result<UniqueFd> fd = OpenFile(path, O_RDWR | O_CREAT);
  RETURN_IF_ERROR(fd);
  if (Retry([&] { return ::flock(fd->get(), LOCK_EX | LOCK_NB); }) < 0) {
    if (errno != EWOULDBLOCK) return FailErrno("lock", path);
    return Fail(ErrorCode::kBusy, fmt::format("lock {}: held by another process", path));
  }
  return FileLock(std::move(*fd));
}

}  // namespace store
