// SPDX-License-Identifier: Apache-2.0
// CheckpointStore: what the agent must remember over a restart: where each file was left, which
// entries were ever applied, the last good configuration. RocksCheckpointStore keeps it in a
// RocksDB of a few megabytes; MemoryCheckpointStore serves tests. Called by the checkpointer thread
// only (LoadAll before it starts). Errors are returned, never fatal: the agent keeps shipping and
// says what a crash could repeat.
#pragma once

#include "logagent/checkpoint/codec.h"
#include "store/base/error.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace logagent {

struct SavedState {
  std::vector<SavedFile> files;
  std::set<std::string, std::less<>> entries;  // EntryKeys that were ever applied
  std::optional<std::string> config;           // last good, as its owner wrote it
};

// One atomic batch.
struct SavedChanges {
  std::vector<SavedFile> files;
  std::vector<std::pair<FileKey, std::string>> gone;  // rows to drop: file, EntryKey
  std::vector<std::string> entries;
  std::vector<std::string> entries_gone;
  std::optional<std::string> config;

  bool empty() const;
  void Append(SavedChanges more);
};

class CheckpointStore {
 public:
  virtual Result<SavedState> LoadAll() = 0;
  // Survives the process when it returns, and the machine when `sync` is set.
  virtual Status Save(const SavedChanges& changes, bool sync) = 0;
  // Everything saved before survives the machine.
  virtual Status Sync() = 0;
  virtual ~CheckpointStore() = default;
};

struct OpenedCheckpoint {
  std::unique_ptr<CheckpointStore> store;
  // One line for the log when the directory was new or had to be put aside; empty otherwise.
  std::string notice;
};
// Opens or creates the state in `directory`. Contents that cannot be read are moved to
// `<directory>.corrupt-N` and a new state is begun, as on a new installation. Held by another
// process: kBusy.
Result<OpenedCheckpoint> OpenRocksCheckpoint(const Path& directory);

// For a directory that cannot be opened now (read-only, full, not mounted): loads the rows that can
// be read, and each Save and Sync tries to open it, until it can be used.
std::unique_ptr<CheckpointStore> MakeLateCheckpoint(const Path& directory);

// All rows, also while another process holds the state. Changes nothing.
Result<SavedState> ReadRocksCheckpoint(const Path& directory);

class MemoryCheckpointStore final : public CheckpointStore {
 public:
  Result<SavedState> LoadAll() override;
  Status Save(const SavedChanges& changes, bool sync) override;
  Status Sync() override { return store::Ok(); }

 private:
  std::map<std::pair<std::string, FileKey>, SavedFile> files_;
  std::set<std::string, std::less<>> entries_;
  std::optional<std::string> config_;
};

}  // namespace logagent
