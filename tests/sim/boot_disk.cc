// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/boot_disk.h"

#include "store/server/bootstrap.h"

namespace store::sim {
namespace {

// The log as bootstrap sees it. It reads nothing back and cuts nothing.
class BootLog final : public wal::LogStore {
 public:
  explicit BootLog(raft::UnitDisk& disk) : disk_(disk) {}

  Result<wal::LogImage> Load() override {
    raft::Restart restart = disk_.Load({}, {});
    wal::LogImage image;
    image.hard_state = restart.hard_state;
    image.truncated = restart.truncated;
    image.truncated_term = restart.truncated_term;
    image.runs = std::move(restart.runs);
    image.entries = std::move(restart.tail);
    return image;
  }
  Status Append(std::span<const raft::PersistUnit* const> group) override {
    for (const raft::PersistUnit* unit : group) {
      disk_.Write(*unit);
      (void)disk_.SyncOne();
    }
    return Ok();
  }
  Result<std::vector<raft::EntryPtr>> Read(raft::Index, raft::Index, size_t) const override {
    return Fail(ErrorCode::kUnsupported, "nothing is read back at boot");
  }
  Status TruncatePrefix(raft::Index, raft::Term) override {
    return Fail(ErrorCode::kUnsupported, "nothing is cut at boot");
  }

 private:
  raft::UnitDisk& disk_;
};

}  // namespace

Result<bool> CheckBootLog(StoreDisk& disk, const apply::AppliedRow& applied) {
  BootLog log(disk.log);
  auto image = log.Load();
  RETURN_IF_ERROR(image);
  const raft::SnapshotMeta meta{applied.index, applied.term, applied.conf};
  bool founding = applied.index == kFoundingIndex && applied.term == kFoundingTerm &&
                  image->truncated == raft::Index(0) && image->entries.empty() &&
                  image->hard_state == raft::HardState();
  if (founding) RETURN_IF_ERROR(server::EmptyLogBehind(meta, log, &*image));
  bool cut_short = disk.name.index != 0 && server::LogIsFromBeforeInstall(*image, disk.name);
  if (cut_short) {
    const raft::SnapshotMeta installed{raft::Index(disk.name.index), raft::Term(disk.name.term),
                                       applied.conf};
    RETURN_IF_ERROR(server::EmptyLogBehind(installed, log, &*image));
  }
  RETURN_IF_ERROR(server::CheckLogAgainstState(*image, applied));
  return cut_short;
}

}  // namespace store::sim
