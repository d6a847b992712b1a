// SPDX-License-Identifier: Apache-2.0
#include "store/wal/wal_file.h"

#include "store/base/failpoint.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace store::wal {
namespace {

class PosixWalFile final : public WalFile {
 public:
  PosixWalFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status Write(uint64_t offset, std::string_view bytes) override {
    RETURN_IF_ERROR(FAILPOINT_STATUS("wal-write"));
    while (!bytes.empty()) {
      ssize_t written = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Fail(ErrnoError(errno, fmt::format("write {}", path_)));
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    FAILPOINT("wal-written");
    return Ok();
  }

  Result<std::string> Read(uint64_t offset, size_t size) const override {
    std::string bytes(size, '\0');
    size_t read = 0;
    while (read < size) {
      ssize_t more =
          pread(fd_.get(), bytes.data() + read, size - read, static_cast<off_t>(offset + read));
      if (more < 0 && errno == EINTR) continue;
      if (more < 0) return Fail(ErrnoError(errno, fmt::format("read {}", path_)));
      if (more == 0) break;
      read += static_cast<size_t>(more);
    }
    bytes.resize(read);
    return bytes;
  }

  Status Sync() override {
    RETURN_IF_ERROR(FAILPOINT_STATUS("wal-sync"));
    Status synced = SyncFile(fd_.get(), path_);
    FAILPOINT("wal-synced");
    return synced;
  }

  Status Preallocate(uint64_t bytes) override {
    RETURN_IF_ERROR(FAILPOINT_STATUS("wal-preallocate"));
    int error = posix_fallocate(fd_.get(), 0, static_cast<off_t>(bytes));
    if (error != 0) return Fail(ErrnoError(error, fmt::format("preallocate {}", path_)));
    return Ok();
  }

  Result<uint64_t> Size() const override {
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) {
      return Fail(ErrnoError(errno, fmt::format("size of {}", path_)));
    }
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

Result<std::unique_ptr<WalFile>> OpenWith(const std::string& path, int flags) {
  Result<UniqueFd> fd = OpenFile(path, flags);
  if (!fd) return Fail(std::move(fd).error());
  return std::make_unique<PosixWalFile>(*std::move(fd), path);
}

}  // namespace

Result<std::unique_ptr<WalFile>> PosixWalFileSystem::Open(const std::string& path) {
  return OpenWith(path, O_RDWR);
}

Result<std::unique_ptr<WalFile>> PosixWalFileSystem::Create(const std::string& path) {
  return OpenWith(path, O_RDWR | O_CREAT | O_TRUNC);
}

Status PosixWalFileSystem::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(FAILPOINT_STATUS("wal-rename"));
  if (rename(from.c_str(), to.c_str()) != 0) {
    return Fail(ErrnoError(errno, fmt::format("rename {} to {}", from, to)));
  }
  return Ok();
}

Status PosixWalFileSystem::Remove(const std::string& path) {
  if (unlink(path.c_str()) != 0) return Fail(ErrnoError(errno, fmt::format("remove {}", path)));
  return Ok();
}

Status PosixWalFileSystem::SyncDirectory(const std::string& path) {
  RETURN_IF_ERROR(FAILPOINT_STATUS("wal-sync-directory"));
  return store::SyncDirectory(path);
}

Status PosixWalFileSystem::MakeDirectory(const std::string& path) { return MakeDirs(path); }

Result<std::vector<std::string>> PosixWalFileSystem::List(const std::string& path) {
  return ListDirectory(path);
}

}  // namespace store::wal
