// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/file_system.h"

#include "logagent/model/model.h"
#include "logagent/tail/glob.h"
#include "logagent/tail/notify.h"
#include "store/base/check.h"
#include "store/base/file.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

class PosixFile final : public FileHandle {
 public:
  PosixFile(store::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

 private:
  store::UniqueFd fd_;
  const std::string path_;  // for messages only: the file may have another name by now
};

const PosixFile& AsPosix(const FileHandle& file) { return static_cast<const PosixFile&>(file); }

FileFacts FactsOf(const struct stat& status) {
  FileFacts facts;
  facts.device = status.st_dev;
  facts.inode = status.st_ino;
  facts.size = static_cast<uint64_t>(status.st_size);
  facts.links = status.st_nlink;
  facts.modified_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  facts.regular = S_ISREG(status.st_mode);
  return facts;
}

bool IsDirectory(int directory_fd, const dirent& entry) {
  if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) {
    return entry.d_type == DT_DIR;
  }
  struct stat status;
  return fstatat(directory_fd, entry.d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

store::Error OpenFileError(int error_number, const std::string& path) {
  store::Error error = store::ErrnoError(error_number, path);
  return error_number == ESTALE ? store::Error(store::ErrorCode::kNotFound, error.message())
                                : error;
}

Result<FileHandlePtr> PosixFileSystem::Open(const Path& path) {
  // O_NONBLOCK: opening a FIFO that somebody put under the name must not stop the shard.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = open(path.c_str(), kFlags | O_NOATIME);
  if (fd < 0 && errno == EPERM) {
    fd = open(path.c_str(), kFlags);  // O_NOATIME is the owner's and root's only
  }
  if (fd < 0) {
    return store::Fail(store::ErrnoError(errno, path.string()));
  }
  return std::make_unique<PosixFile>(store::UniqueFd(fd), path.string());
}

Result<FileFacts> PosixFileSystem::Stat(const FileHandle& file) const {
  struct stat status;
  if (fstat(AsPosix(file).fd(), &status) != 0) {
    return store::Fail(OpenFileError(errno, AsPosix(file).path()));
  }
  return FactsOf(status);
}

Result<FileFacts> PosixFileSystem::StatPath(const Path& path) const {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    return store::Fail(store::ErrnoError(errno, path.string()));
  }
  return FactsOf(status);
}

Result<size_t> PosixFileSystem::ReadAt(const FileHandle& file, uint64_t offset,
                                       std::span<char> into) {
  size_t done = 0;
  while (done < into.size()) {
    ssize_t count = pread(AsPosix(file).fd(), into.data() + done, into.size() - done,
                          static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return store::Fail(OpenFileError(errno, AsPosix(file).path()));
    }
    if (count == 0) {
      break;
    }
    done += static_cast<size_t>(count);
  }
  return done;
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::List(const Path& directory) const {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) {
    return store::Fail(store::ErrnoError(errno, directory.string()));
  }
  std::vector<DirectoryEntry> entries;
  while (const dirent* entry = readdir(stream)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    bool is_directory = IsDirectory(dirfd(stream), *entry);
    entries.push_back({std::move(name), entry->d_ino, is_directory});
  }
  closedir(stream);
  return entries;
}

Result<GlobMatch> PosixFileSystem::Glob(const std::string& pattern) const {
  struct stat status;
  bool exists = stat(pattern.c_str(), &status) == 0;
  if (HasGlobCharacters(pattern) && !exists) {
    return WalkGlob(*this, pattern);
  }
  GlobMatch match;
  Path path(pattern);
  if (exists) {
    match.files.push_back(path);
  } else if (errno != ENOENT && errno != ENOTDIR) {
    return store::Fail(store::ErrnoError(errno, pattern));
  }
  Path parent = path.has_parent_path() ? path.parent_path() : Path(".");
  match.directories.push_back(NearestDirectory(*this, parent));
  return match;
}

std::optional<LinkTrail> PosixFileSystem::FollowLink(const Path& path) const {
  constexpr int kHopsMax = 40;  // as the kernel
  LinkTrail trail;
  Path at = path;
  std::error_code error;
  for (int hop = 0; hop < kHopsMax; ++hop) {
    Path next = std::filesystem::read_symlink(at, error);
    if (error) {
      break;
    }
    at = next.is_absolute() ? next : at.parent_path() / next;
    trail.directories.push_back(at.parent_path());
  }
  if (trail.directories.empty()) {
    return std::nullopt;
  }
  trail.target = std::filesystem::canonical(at, error);
  if (error) {
    return std::nullopt;
  }
  trail.directories.push_back(trail.target.parent_path());
  return trail;
}

std::unique_ptr<Notifier> PosixFileSystem::MakeNotifier() {
  return std::make_unique<DirectoryNotifier>();
}

}  // namespace logagent
