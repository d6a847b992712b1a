// SPDX-License-Identifier: Apache-2.0
// Bootstrap: from a data directory to an opened member: lock, log, state, and what the replica
// starts from. A new directory gets an identity from the flags; an existing one keeps its own, and
// the bootstrap flags are ignored as etcd ignores them. Every way a directory cannot be used is one
// error that names it and says what to do.
//
//   <data-dir>/member/LOCK          held while the member runs
//   <data-dir>/member/wal/          raft log (store/wal)
//   <data-dir>/member/STATE         names the state directory (store/engine/state_dir.h)
//   <data-dir>/member/state-N/      RocksDB
//
// Called once at start, by main's thread.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/error.h"
#include "store/base/file.h"
#include "store/base/ids.h"
#include "store/base/log.h"
#include "store/engine/rocks_engine.h"
#include "store/engine/state_dir.h"
#include "store/replica/replica.h"
#include "store/server/config.h"
#include "store/wal/wal.h"
#include "store/wal/wal_file.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <string_view>

namespace store::server {

// Destroyed from the bottom up: the lock goes last.
struct Member {
  std::unique_ptr<FileLock> lock;
  ClusterId cluster;
  raft::NodeId id;
  uint64_t boot_nonce = 0;
  bool fresh = false;  // first start of this directory
  std::unique_ptr<wal::WalFileSystem> files;
  std::unique_ptr<wal::WalLogStore> log;
  std::shared_ptr<engine::RocksEngine> engine;
  std::unique_ptr<apply::StateMachine> machine;
  replica::Boot boot;
  // Of the running cluster that this member joins: whom to speak to before the log has told.
  cluster::MemberList remotes;
};

// etcd's words for a member that may not run any more; as an error of kind kMemberNotFound the
// process ends with 0.
inline constexpr std::string_view kRemovedText =
    "the member has been permanently removed from the cluster";

using EngineTroubleAction = absl::AnyInvocable<void(engine::EngineTrouble, const Error&) const>;

Result<Member> OpenMember(const ServerConfig& config, const apply::ApplyLimits& limits,
                          EngineTroubleAction on_trouble, const Logger& log);

// The boot rule of architecture 3.5, in two halves.
//
// STATE names the snapshot (i, t) it was installed from. A log that was cut at or beyond i went on
// after that install; so did one that holds the entry (i, t). A log that is shorter, or has another
// term there, is of the time before: the install was interrupted before the log was emptied, and
// that is made up for (EmptyLogBehind).
bool LogIsFromBeforeInstall(const wal::LogImage& image, const engine::StateName& state);
Status EmptyLogBehind(const raft::SnapshotMeta& installed, wal::LogStore& log,
                      wal::LogImage* image);
// In every case the log must reach the durable applied index and agree with its term there.
// kCorruption otherwise.
Status CheckLogAgainstState(const wal::LogImage& image, const apply::AppliedRow& applied);
// kCorruption when the log's member is not in the state's configuration.
Status CheckMemberIsOfState(const wal::Identity& identity, const raft::ConfState& conf);

}  // namespace store::server
