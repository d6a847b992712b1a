// SPDX-License-Identifier: Apache-2.0
#include "store/replica/snapshot_installer.h"

#include "store/base/check.h"
#include "store/base/failpoint.h"

#include <fmt/format.h>

#include <utility>

namespace store::replica {

Result<SnapshotInstalled> SnapshotInstaller::Install(const raft::SnapshotMeta& meta) {
  CHECK(open_, "a snapshot at {} to install, but nobody who receives one", meta.index);
  maintenance_.Pause();
  auto engine = open_(meta);
  RETURN_IF_ERROR(engine);
  FAILPOINT("install-open");
  RETURN_IF_ERROR(machine_.Install(std::move(*engine)));
  const apply::AppliedRow& applied = machine_.applied();
  if (applied.index != meta.index || applied.term != meta.term || applied.conf != meta.conf) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the installed state is at {} of term {}, not at {} of {}",
                            applied.index, applied.term, meta.index, meta.term));
  }
  FAILPOINT("install-restored");
  hub_.Reset(applied.current);
  maintenance_.Resume(meta.index);
  SnapshotInstalled installed{meta, applied.current, {}, machine_.Read()->members};
  for (const auto& [id, lease] : machine_.leases().leases()) {
    installed.leases.push_back({id, lease.ttl_seconds, lease.remaining_seconds});
  }
  return installed;
}

}  // namespace store::replica
