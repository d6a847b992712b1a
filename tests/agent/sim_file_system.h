// SPDX-License-Identifier: Apache-2.0
// SimFileSystem: a file system in memory behind the agent's seam, for tests: what a program does to
// log files (append, rename, copy, truncate, remove, switch a link), what a disk does to them
// (unreadable, a directory that is away), and the kernel's part: inode numbers are reused as soon
// as nobody holds the file, watches have a limit, event queues overflow, descriptors run out. Time
// is the clock's. One thread. Paths are absolute.
#pragma once

#include "logagent/tail/file_system.h"
#include "logagent/tail/notify.h"
#include "store/base/clock.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace logagent::testing {

class VirtualClock final : public store::Clock {
 public:
  store::TimePoint Now() const override { return now_; }
  int64_t WallMicros() const override { return now_.time_since_epoch().count() / 1000; }
  void Advance(store::Duration by) { now_ += by; }

 private:
  store::TimePoint now_{std::chrono::hours(1)};
};

class SimNotifier;

struct SimInode {
  uint64_t number = 0;
  uint64_t device = 1;
  bool directory = false;
  bool readable = true;
  uint64_t stale = 0;  // counts the times its open handles went stale
  std::string link;    // not empty: a symbolic link
  std::string bytes;
  std::map<std::string, std::shared_ptr<SimInode>> names;
  uint64_t links = 0;
  int64_t modified_ns = 0;
};
using SimInodePtr = std::shared_ptr<SimInode>;

class SimFileSystem final : public FileSystem {
 public:
  explicit SimFileSystem(const store::Clock& clock);

  // What programs do.
  void MakeDirectory(const std::string& path);
  void Append(const std::string& path, std::string_view bytes);
  void Rename(const std::string& from, const std::string& to);
  void Copy(const std::string& from, const std::string& to);
  void Truncate(const std::string& path);
  void Remove(const std::string& path);
  // Replaces what is there, as rename does.
  void Link(const std::string& target, const std::string& path);
  SimInodePtr Find(const std::string& path) const { return Resolve(path, 0); }

  // What machines do.
  void SetReadable(const std::string& path, bool readable);
  // A network file system's server forgets who has it open.
  void MakeStale(const std::string& path) { ++Find(path)->stale; }
  // A file system is unmounted from or mounted on this directory.
  void Unmount(const std::string& directory);
  void Mount(const std::string& directory);
  void Overflow();
  size_t watches_max = SIZE_MAX;
  size_t watches() const;
  size_t open_max = SIZE_MAX;
  size_t open_files() const { return *open_; }
  // What List has told so far: the work of looking for files.
  size_t names_listed() const { return names_listed_; }
  size_t opens() const { return opens_; }

  Result<FileHandlePtr> Open(const Path& path) override;
  Result<FileFacts> Stat(const FileHandle& file) const override;
  Result<FileFacts> StatPath(const Path& path) const override;
  Result<size_t> ReadAt(const FileHandle& file, uint64_t offset, std::span<char> into) override;
  Result<std::vector<DirectoryEntry>> List(const Path& directory) const override;
  Result<GlobMatch> Glob(const std::string& pattern) const override;
  std::optional<LinkTrail> FollowLink(const Path& path) const override;
  std::unique_ptr<Notifier> MakeNotifier() override;

 private:
  friend class SimNotifier;

  SimInodePtr MakeInode();
  SimInodePtr Parent(const std::string& path) const;
  SimInodePtr Resolve(const std::string& path, int hops) const;
  SimInodePtr Entry(const std::string& path) const;  // does not follow the last link
  void Put(const std::string& path, SimInodePtr inode);
  SimInodePtr Take(const std::string& path);
  void Tell(const std::string& path, NotifyEvent::Kind kind, const std::string& from = {});
  void TouchAll(const SimInodePtr& inode);

  const store::Clock& clock_;
  std::shared_ptr<std::set<uint64_t>> free_numbers_;
  std::shared_ptr<size_t> open_;
  uint64_t next_number_ = 10;
  mutable size_t names_listed_ = 0;
  size_t opens_ = 0;
  int64_t writes_ = 0;
  SimInodePtr root_;
  std::map<std::string, std::map<std::string, SimInodePtr>> unmounted_;
  std::set<SimNotifier*> notifiers_;
};

}  // namespace logagent::testing
