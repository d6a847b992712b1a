// SPDX-License-Identifier: Apache-2.0
// FileSystem: the agent's only door to the files it collects. PosixFileSystem is the real one; the torture
// model has its own. All methods are called on the thread of the shard that owns the file; none blocks on
// anything but the disk. Errors name the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/base/error.h"

namespace logagent {

using Path = std::filesystem::path;
using store::Result;
using store::Status;

// A file by what it is, not by what it is called. `generation` grows when the same inode was truncated or
// reused, so that offsets of different contents never mix.
struct FileKey {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint32_t generation = 0;
  friend auto operator<=>(const FileKey&, const FileKey&) = default;
};

struct FileFacts {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  uint64_t links = 0;               // 0: deleted while open
  int64_t modified_ns = 0;
  bool regular = false;
};

// An open file; closes itself.
class FileHandle {
 public:
  virtual ~FileHandle() = default;
};
using FileHandlePtr = std::unique_ptr<FileHandle>;

class FileSystem {
 public:
  virtual Result<FileHandlePtr> Open(const Path& path) = 0;
  virtual Result<FileFacts> Stat(const FileHandle& file) const = 0;
  // Follows symbolic links, as Open does.
  virtual Result<FileFacts> StatPath(const Path& path) const = 0;
  // Bytes read; 0 at the end of the file.
  virtual Result<size_t> ReadAt(const FileHandle& file, uint64_t offset, std::span<char> into) = 0;
  // Names that match a glob pattern (fnmatch with FNM_PATHNAME, `**` for any depth), sorted. A pattern
  // without glob characters, and one that exists literally, is itself.
  virtual Result<std::vector<Path>> Glob(const std::string& pattern) const = 0;
  virtual ~FileSystem() = default;
};

}  // namespace logagent
