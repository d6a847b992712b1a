// SPDX-License-Identifier: Apache-2.0
// DirectoryNotifier: inotify on directories, never on files: the idle cost follows events, not
// files. When a watch cannot be had (limit, permission, file system) or the kernel's queue ended,
// the notifier says so and its owner scans instead. Owned by one shard, its thread only; Fd may be
// polled. Watches are bounded by the directories its owner asks for and by the kernel's
// max_user_watches.
#pragma once

#include "logagent/tail/file_system.h"

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace logagent {

struct NotifyEvent {
  enum class Kind {
    kModified,  // content or permissions of `path` changed
    kAppeared,  // created or moved in
    kVanished,  // deleted or moved away
    kOverflow,  // events were lost: scan everything; no path
  };
  Kind kind = Kind::kModified;
  Path path;
  bool directory = false;
};

class DirectoryNotifier {
 public:
  DirectoryNotifier();
  ~DirectoryNotifier();
  DirectoryNotifier(const DirectoryNotifier&) = delete;
  DirectoryNotifier& operator=(const DirectoryNotifier&) = delete;

  // Idempotent. An error leaves the directory to the scan.
  Status Watch(const Path& directory);
  void Forget(const Path& directory);
  bool Watches(const Path& directory) const;

  // Readable when events wait; -1 when the machine gave no inotify instance.
  int Fd() const { return fd_; }
  // Hands over what waits, without blocking. Repeated changes of one name within a call come once.
  void Drain(absl::FunctionRef<void(const NotifyEvent&)> handle);

  // Why some directory is only scanned; empty when all are watched.
  const std::string& fallback_reason() const { return fallback_reason_; }
  size_t watches() const { return path_by_watch_.size(); }

 private:
  int fd_ = -1;
  absl::flat_hash_map<int, std::string> path_by_watch_;
  absl::flat_hash_map<std::string, int> watch_by_path_;
  std::string fallback_reason_;
};

}  // namespace logagent
