// SPDX-License-Identifier: Apache-2.0
// FileSystem: the agent's only door to the files it collects. PosixFileSystem is the real one; the
// torture model has its own. All methods may be called on any shard's thread; none blocks on
// anything but the disk. A FileHandle belongs to the thread that opened it. Errors name the path.
#pragma once

#include "store/base/error.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace logagent {

using Path = std::filesystem::path;
using store::Result;
using store::Status;

// A file by what it is, not by what it is called. `generation` grows when the same inode was
// truncated or reused, so that offsets of different contents never mix.
struct FileKey {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint32_t generation = 0;
  friend auto operator<=>(const FileKey&, const FileKey&) = default;

  template <class H>
  friend H AbslHashValue(H state, const FileKey& key) {
    return H::combine(std::move(state), key.device, key.inode, key.generation);
  }
};

struct FileFacts {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  uint64_t links = 0;  // 0: deleted while open
  int64_t modified_ns = 0;
  bool regular = false;
};

// An open file; closes itself.
class FileHandle {
 public:
  virtual ~FileHandle() = default;
};
using FileHandlePtr = std::unique_ptr<FileHandle>;

// What a pattern finds. `directories` are the existing ones in which a match could appear, now or
// later (with the nearest existing ancestor of those that do not exist yet): watching them is
// enough to hear of every new match. `truncated` says that the walk ended at its limit.
struct GlobMatch {
  std::vector<Path> files;  // sorted; what StatPath calls regular is for the caller to find out
  std::vector<Path> directories;  // sorted
  bool truncated = false;
};

// Where a symbolic link leads: the file at its end, and the directory of every hop behind the link,
// in which the way may change.
struct LinkTrail {
  Path target;
  std::vector<Path> directories;
};

// What a call on an open file failed with. kNotFound: what the descriptor means is gone (a network
// file system's stale handle), and only a name can lead to the file again.
store::Error OpenFileError(int error_number, const std::string& path);

class Notifier;

struct DirectoryEntry {
  std::string name;
  uint64_t inode = 0;
  bool directory = false;
};

class FileSystem {
 public:
  virtual Result<FileHandlePtr> Open(const Path& path) = 0;
  virtual Result<FileFacts> Stat(const FileHandle& file) const = 0;
  // Follows symbolic links, as Open does.
  virtual Result<FileFacts> StatPath(const Path& path) const = 0;
  // Bytes read; 0 at the end of the file. Fewer than asked for only at the end.
  virtual Result<size_t> ReadAt(const FileHandle& file, uint64_t offset, std::span<char> into) = 0;
  virtual Result<std::vector<DirectoryEntry>> List(const Path& directory) const = 0;
  // Names that match a glob pattern (fnmatch with FNM_PATHNAME, `**` as a component for any depth,
  // hidden names only by a pattern that starts with a dot). A pattern without glob characters, and
  // one that exists literally, is itself.
  virtual Result<GlobMatch> Glob(const std::string& pattern) const = 0;
  // Empty when the last component of the path is no symbolic link, or leads nowhere.
  virtual std::optional<LinkTrail> FollowLink(const Path& path) const = 0;
  // What tells of changes in this file system's directories.
  virtual std::unique_ptr<Notifier> MakeNotifier() = 0;
  virtual ~FileSystem() = default;
};

class PosixFileSystem final : public FileSystem {
 public:
  Result<FileHandlePtr> Open(const Path& path) override;
  Result<FileFacts> Stat(const FileHandle& file) const override;
  Result<FileFacts> StatPath(const Path& path) const override;
  Result<size_t> ReadAt(const FileHandle& file, uint64_t offset, std::span<char> into) override;
  Result<std::vector<DirectoryEntry>> List(const Path& directory) const override;
  Result<GlobMatch> Glob(const std::string& pattern) const override;
  std::optional<LinkTrail> FollowLink(const Path& path) const override;
  std::unique_ptr<Notifier> MakeNotifier() override;
};

}  // namespace logagent
