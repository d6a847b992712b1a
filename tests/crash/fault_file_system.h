// SPDX-License-Identifier: Apache-2.0
// FaultFileSystem: files in memory that remember which of their bytes and names were synced. Crash
// ends the life of every open file and leaves what was durable plus, by `Survival`, nothing,
// everything or a random part of the rest: single 4 KiB pages, and a prefix of the directory
// changes of each directory. Counts the operations that change something, so that a test can run a
// script once per operation with the failure there. Any thread (one mutex); a copy is a snapshot of
// the disk.
#pragma once

#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/wal/wal_file.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace store::wal {

enum class Survival { kNothing, kRandom, kEverything };

class FaultFileSystem final : public WalFileSystem {
 public:
  static constexpr size_t kPageBytes = 4096;

  Result<std::unique_ptr<WalFile>> Open(const std::string& path) override;
  Result<std::unique_ptr<WalFile>> Create(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Status MakeDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;

  // Operations so far; from number `operation` on (0-based) every one fails.
  uint64_t operations() const;
  void FailFrom(uint64_t operation);
  void SetFull(bool full);
  // Every open file is dead, failures are forgotten.
  void Crash(Survival survival, Random* random);

  // Direct access for tests that damage bytes; what Set writes is durable.
  std::string Get(const std::string& path) const;
  void Set(const std::string& path, std::string bytes);
  std::vector<std::string> Paths() const;
  // A disk with the same durable and unsynced state.
  std::unique_ptr<FaultFileSystem> Clone() const;

 private:
  friend class FaultFile;
  struct Inode {
    std::string durable;
    std::string current;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct NameChange {
    std::string path;
    std::shared_ptr<Inode> inode;  // null: removed
  };

  Status CountOperation(const std::string& what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Bind(const std::string& path, std::shared_ptr<Inode> inode)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Apply(const NameChange& change, Names* names);

  mutable Mutex mutex_;
  Names names_ ABSL_GUARDED_BY(mutex_);
  Names durable_names_ ABSL_GUARDED_BY(mutex_);
  std::vector<NameChange> pending_ ABSL_GUARDED_BY(mutex_);  // since the last directory sync
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t fail_from_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  uint64_t life_ ABSL_GUARDED_BY(mutex_) = 0;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace store::wal
