// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/notify.h"

#include "store/base/error.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <set>
#include <sys/inotify.h>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

constexpr uint32_t kMask = IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM |
                           IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

NotifyEvent::Kind KindOf(uint32_t mask) {
  if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    return NotifyEvent::Kind::kAppeared;
  }
  if ((mask & (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
    return NotifyEvent::Kind::kVanished;
  }
  return NotifyEvent::Kind::kModified;
}

std::string ReasonOf(int error_number, const std::string& directory) {
  if (error_number == ENOSPC) {
    return fmt::format(
        "{}: no inotify watch left (fs.inotify.max_user_watches): it is scanned instead",
        directory);
  }
  return store::ErrnoError(error_number, directory).message() + ": it is scanned instead";
}

}  // namespace

DirectoryNotifier::DirectoryNotifier() : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (fd_ < 0) {
    fallback_reason_ = store::ErrnoError(errno, "inotify").message() + ": directories are scanned";
  }
}

DirectoryNotifier::~DirectoryNotifier() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Status DirectoryNotifier::Watch(const Path& directory) {
  if (watch_by_path_.contains(directory.native())) {
    return store::Ok();
  }
  if (fd_ < 0) {
    return store::Fail(store::ErrorCode::kUnsupported, fallback_reason_);
  }
  int watch = inotify_add_watch(fd_, directory.c_str(), kMask);
  if (watch < 0) {
    int error_number = errno;
    if (error_number != ENOENT) {
      fallback_reason_ = ReasonOf(error_number, directory.native());
    }
    return store::Fail(store::ErrnoError(error_number, directory.native()));
  }
  // Two names of one directory share the kernel's watch; events carry the first name.
  path_by_watch_.try_emplace(watch, directory.native());
  watch_by_path_[directory.native()] = watch;
  return store::Ok();
}

void DirectoryNotifier::Forget(const Path& directory) {
  auto at = watch_by_path_.find(directory.native());
  if (at == watch_by_path_.end()) {
    return;
  }
  inotify_rm_watch(fd_, at->second);
  path_by_watch_.erase(at->second);
  watch_by_path_.erase(at);
}

bool DirectoryNotifier::Watches(const Path& directory) const {
  return watch_by_path_.contains(directory.native());
}

void DirectoryNotifier::Drain(absl::FunctionRef<void(const NotifyEvent&)> handle) {
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  std::set<std::pair<int, std::string>> modified;
  while (fd_ >= 0) {
    ssize_t size = read(fd_, buffer.data(), buffer.size());
    if (size <= 0) {
      return;
    }
    for (const char* at = buffer.data(); at < buffer.data() + size;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        handle({NotifyEvent::Kind::kOverflow, {}, false});
        continue;
      }
      auto watched = path_by_watch_.find(event.wd);
      if (watched == path_by_watch_.end()) {
        continue;
      }
      std::string name = event.len > 0 ? std::string(event.name) : std::string();
      NotifyEvent::Kind kind = KindOf(event.mask);
      if (kind == NotifyEvent::Kind::kModified && !modified.emplace(event.wd, name).second) {
        continue;
      }
      Path directory = watched->second;
      bool is_self = name.empty();
      if ((event.mask & IN_IGNORED) != 0 || (event.mask & IN_MOVE_SELF) != 0) {
        // The directory is gone or another one has its name: the next scan watches what is there.
        inotify_rm_watch(fd_, event.wd);
        watch_by_path_.erase(directory.native());
        path_by_watch_.erase(event.wd);
      }
      handle(
          {kind, is_self ? directory : directory / name, is_self || (event.mask & IN_ISDIR) != 0});
    }
  }
}

}  // namespace logagent
