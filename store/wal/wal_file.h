// SPDX-License-Identifier: Apache-2.0
// The log's seam to the operating system: whole-file handles with positioned reads and writes, and
// the few directory operations. PosixWalFileSystem is the real one; tests/crash has one that
// forgets what was not synced. Errors name the path. Blocking. A file is written by one thread and
// may be read by another; the file system may be used by several threads.
#pragma once

#include "store/base/error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace store::wal {

class WalFile {
 public:
  virtual Status Write(uint64_t offset, std::string_view bytes) = 0;
  // Up to `size` bytes; fewer only at the end of the file.
  virtual Result<std::string> Read(uint64_t offset, size_t size) const = 0;
  // fdatasync. Never called again after it failed.
  virtual Status Sync() = 0;
  // Reserves the blocks of [0, bytes) and makes the file at least that long.
  virtual Status Preallocate(uint64_t bytes) = 0;
  virtual Result<uint64_t> Size() const = 0;
  virtual ~WalFile() = default;
};

class WalFileSystem {
 public:
  virtual Result<std::unique_ptr<WalFile>> Open(const std::string& path) = 0;
  virtual Result<std::unique_ptr<WalFile>> Create(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  // Creations, renames and removals in it are durable afterwards.
  virtual Status SyncDirectory(const std::string& path) = 0;
  virtual Status MakeDirectory(const std::string& path) = 0;
  // Names, sorted.
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
  virtual ~WalFileSystem() = default;
};

class PosixWalFileSystem final : public WalFileSystem {
 public:
  Result<std::unique_ptr<WalFile>> Open(const std::string& path) override;
  Result<std::unique_ptr<WalFile>> Create(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Status MakeDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
};

}  // namespace store::wal
