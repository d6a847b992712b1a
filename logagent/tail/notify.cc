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
  if ((mask & (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
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

struct DirectoryNotifier::Record {
  int watch = 0;
  uint32_t mask = 0;
  uint32_t cookie = 0;
  std::string name;
};

DirectoryNotifier::~DirectoryNotifier() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

// Tried again with each directory: the limit of instances may be lifted while the agent runs.
Status DirectoryNotifier::Open() {
  if (fd_ < 0) {
    fd_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  }
  if (fd_ >= 0) {
    return store::Ok();
  }
  int error_number = errno;
  if (error_number == EMFILE) {
    return store::Fail(store::ErrorCode::kUnsupported,
                       "no inotify instance or file descriptor left "
                       "(fs.inotify.max_user_instances): directories are scanned instead");
  }
  return store::Fail(
      store::ErrorCode::kUnsupported,
      store::ErrnoError(error_number, "inotify").message() + ": directories are scanned instead");
}

Result<bool> DirectoryNotifier::Watch(const Path& directory) {
  RETURN_IF_ERROR(Open());
  const std::string& name = directory.native();
  int watch = inotify_add_watch(fd_, name.c_str(), kMask);
  int error_number = errno;
  auto known = watch_by_name_.find(name);
  if (known != watch_by_name_.end() && known->second != watch) {
    Drop(name, known->second);
    known = watch_by_name_.end();
  }
  if (watch < 0) {
    auto code = store::ErrnoError(error_number, name).code();
    return store::Fail(code, ReasonOf(error_number, name));
  }
  if (known != watch_by_name_.end()) {
    return false;
  }
  names_by_watch_[watch].push_back(name);
  watch_by_name_[name] = watch;
  return true;
}

void DirectoryNotifier::Unwatch(const Path& directory) {
  auto known = watch_by_name_.find(directory.native());
  if (known != watch_by_name_.end()) {
    int watch = known->second;
    Drop(directory.native(), watch);
  }
}

void DirectoryNotifier::Drop(const std::string& name, int watch) {
  watch_by_name_.erase(name);
  auto names = names_by_watch_.find(watch);
  if (names == names_by_watch_.end()) {
    return;
  }
  std::erase(names->second, name);
  if (names->second.empty()) {
    inotify_rm_watch(fd_, watch);
    names_by_watch_.erase(names);
  }
}

void DirectoryNotifier::Drain(absl::FunctionRef<void(const NotifyEvent&)> handle) {
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  std::set<std::pair<int, std::string>> modified;
  moved_before_ = std::exchange(moved_, {});
  while (fd_ >= 0) {
    ssize_t size = read(fd_, buffer.data(), buffer.size());
    if (size <= 0) {
      return;
    }
    for (const char* at = buffer.data(); at < buffer.data() + size;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        handle({NotifyEvent::Kind::kOverflow, {}, false, {}});
        continue;
      }
      Record record{event.wd, event.mask, event.cookie, event.len > 0 ? event.name : ""};
      bool repeated = KindOf(record.mask) == NotifyEvent::Kind::kModified &&
                      !modified.emplace(record.watch, record.name).second;
      if (!repeated) {
        Handle(record, handle);
      }
    }
  }
}

void DirectoryNotifier::Handle(const Record& record,
                               absl::FunctionRef<void(const NotifyEvent&)> handle) {
  auto watched = names_by_watch_.find(record.watch);
  if (watched == names_by_watch_.end()) {
    return;
  }
  std::vector<std::string> names = watched->second;
  bool is_self = record.name.empty();
  if ((record.mask & (IN_IGNORED | IN_UNMOUNT | IN_MOVE_SELF)) != 0) {
    // The directory is gone or another one has its name: the next scan watches what is there.
    for (const std::string& name : names) {
      Drop(name, record.watch);
    }
  }
  NotifyEvent event;
  event.kind = KindOf(record.mask);
  event.directory = is_self || (record.mask & IN_ISDIR) != 0;
  if ((record.mask & IN_MOVED_TO) != 0) {
    auto from = moved_.find(record.cookie);
    bool here = from != moved_.end();
    from = here ? from : moved_before_.find(record.cookie);
    if (here || from != moved_before_.end()) {
      event.from = from->second;
    }
  }
  for (const std::string& name : names) {
    event.path = is_self ? Path(name) : Path(name) / record.name;
    handle(event);
  }
  if ((record.mask & IN_MOVED_FROM) != 0) {
    moved_[record.cookie] = Path(names.front()) / record.name;
  }
}

}  // namespace logagent
