// SPDX-License-Identifier: Apache-2.0
// Notifier: what tells a shard that something happened in a directory. DirectoryNotifier is
// inotify, on directories and never on files: the idle cost follows events, not files. When a watch
// cannot be had (limit, permission, file system) or the kernel's queue ended, the notifier says so
// and its owner scans instead. Owned by one shard, its thread only; Fd may be polled. Watches are
// bounded by the directories its owner asks for and by the kernel's max_user_watches.
#pragma once

#include "logagent/tail/file_system.h"

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

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
  Path from;  // of kAppeared: the name it had before, if that is known
};

class Notifier {
 public:
  // Idempotent, and follows a name that leads to another directory by now. True when events of the
  // directory may have been missed until now. An error leaves the directory to the scan.
  virtual Result<bool> Watch(const Path& directory) = 0;
  // No more events under this name; nothing when it is not watched.
  virtual void Unwatch(const Path& directory) = 0;
  // Readable when events wait; -1 when there is nothing to poll.
  virtual int Fd() const = 0;
  // Hands over what waits, without blocking. Repeated changes of one name within a call come once.
  virtual void Drain(absl::FunctionRef<void(const NotifyEvent&)> handle) = 0;
  virtual ~Notifier() = default;
};

class DirectoryNotifier final : public Notifier {
 public:
  DirectoryNotifier() = default;
  ~DirectoryNotifier() override;
  DirectoryNotifier(const DirectoryNotifier&) = delete;
  DirectoryNotifier& operator=(const DirectoryNotifier&) = delete;

  Result<bool> Watch(const Path& directory) override;
  void Unwatch(const Path& directory) override;
  int Fd() const override { return fd_; }
  void Drain(absl::FunctionRef<void(const NotifyEvent&)> handle) override;

  size_t watches() const { return names_by_watch_.size(); }

 private:
  struct Record;

  Status Open();
  void Drop(const std::string& name, int watch);
  void Handle(const Record& record, absl::FunctionRef<void(const NotifyEvent&)> handle);

  int fd_ = -1;
  // Two names of one directory share the kernel's watch; its events come under each.
  absl::flat_hash_map<int, std::vector<std::string>> names_by_watch_;
  absl::flat_hash_map<std::string, int> watch_by_name_;
  // Names that moved away in this and in the last Drain, by the kernel's cookie: the other half of
  // a rename follows at once, but a read may end between the two.
  absl::flat_hash_map<uint32_t, Path> moved_;
  absl::flat_hash_map<uint32_t, Path> moved_before_;
};

}  // namespace logagent
