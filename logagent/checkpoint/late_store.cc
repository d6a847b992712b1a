// SPDX-License-Identifier: Apache-2.0
// The store of an agent whose state directory could not be opened at its start. Each save tries
// again; the checkpointer asks once a second and keeps what was not saved, so the first one that
// succeeds brings the directory up to date.
#include "logagent/checkpoint/store.h"

#include <filesystem>
#include <system_error>
#include <utility>

namespace logagent {
namespace {

class LateCheckpointStore final : public CheckpointStore {
 public:
  explicit LateCheckpointStore(Path directory) : directory_(std::move(directory)) {}

  // On a read-only file system the rows are still there, and say where to go on.
  Result<SavedState> LoadAll() override {
    std::error_code error;
    if (!std::filesystem::exists(directory_ / "CURRENT", error)) {
      return SavedState();
    }
    auto read = ReadRocksCheckpoint(directory_);
    return read ? std::move(read) : Result<SavedState>(SavedState());
  }

  Status Save(const SavedChanges& changes, bool sync) override {
    RETURN_IF_ERROR(Open());
    return store_->Save(changes, sync);
  }
  Status Sync() override {
    RETURN_IF_ERROR(Open());
    return store_->Sync();
  }

 private:
  Status Open() {
    if (store_ == nullptr) {
      auto opened = OpenRocksCheckpoint(directory_);
      RETURN_IF_ERROR(opened);
      store_ = std::move(opened->store);
    }
    return store::Ok();
  }

  const Path directory_;
  std::unique_ptr<CheckpointStore> store_;
};

}  // namespace

std::unique_ptr<CheckpointStore> MakeLateCheckpoint(const Path& directory) {
  return std::make_unique<LateCheckpointStore>(directory);
}

}  // namespace logagent
