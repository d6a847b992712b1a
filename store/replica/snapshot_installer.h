// SPDX-License-Identifier: Apache-2.0
// SnapshotInstaller: a received snapshot becomes the state, on the apply thread, between two
// batches:
//
//   maintenance pauses ─► STATE names the new directory (the one atomic step) ─► open ─► index and
//   tables rebuilt, readers go over ─► watchers are told where history goes on ─► maintenance goes
//   on
//
// The replica then empties the log; a crash in between is made up for at the next start
// (server/bootstrap). Nothing of it may fail half-way: an error ends the process, and the next
// start finds the old state or the new one. Calls and reads of this member wait meanwhile.
#pragma once

#include "store/apply/state_machine.h"
#include "store/engine/engine.h"
#include "store/replica/env.h"
#include "store/replica/maintenance.h"
#include "store/watch/watch_hub.h"

#include <absl/functional/any_invocable.h>

#include <memory>

namespace store::replica {

// Switches STATE to the received files and opens them.
using OpenInstalled =
    absl::AnyInvocable<Result<std::shared_ptr<engine::Engine>>(const raft::SnapshotMeta&)>;

class SnapshotInstaller {
 public:
  SnapshotInstaller(apply::StateMachine& machine, watch::WatchHub& hub, Maintenance& maintenance,
                    OpenInstalled open)
      : machine_(machine), hub_(hub), maintenance_(maintenance), open_(std::move(open)) {}

  // Apply thread.
  Result<SnapshotInstalled> Install(const raft::SnapshotMeta& meta);

 private:
  apply::StateMachine& machine_;
  watch::WatchHub& hub_;
  Maintenance& maintenance_;
  OpenInstalled open_;
};

}  // namespace store::replica
