// SPDX-License-Identifier: Apache-2.0
// The file system RocksDB writes through: the default one, with two differences.
//
// A full disk makes a write wait until there is room, from RoomWait::Arm to Abandon. RocksDB 7.8
// resumes by itself after the error, but between the error and the end of the failed file its
// writer may be used once more, which Debian's build, made with assertions, answers by ending the
// process. A write that waits is never half there: it is repeated at the same offset.
//
// Failpoints at the two calls that a disk makes fail: "rocks-append" (as error(no_space) or
// error(io)) and "rocks-sync". Private to store/engine and its tests. Any thread.
#pragma once

#include "store/base/error.h"
#include "store/base/thread.h"

#include <absl/functional/any_invocable.h>
#include <rocksdb/file_system.h>

#include <memory>

namespace store::engine {

class RoomWait {
 public:
  // `waits(true)` when a write begins to wait, `waits(false)` when none does any more; any thread,
  // must not call the engine.
  void Arm(absl::AnyInvocable<void(bool waits) const> waits);
  // From now on a full disk is an error again: the files are to be closed.
  void Abandon();

  // Of a write that found the disk full. Enter, false: it is an error. Then Pause before each new
  // try, false: give up; in the end Leave.
  bool Enter();
  bool Pause();
  void Leave();

 private:
  Mutex mutex_;
  CondVar changed_;
  bool armed_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::AnyInvocable<void(bool waits) const> waits_ ABSL_GUARDED_BY(mutex_);
};

std::shared_ptr<rocksdb::FileSystem> MakeRocksFileSystem(std::shared_ptr<RoomWait> room);

}  // namespace store::engine
