// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/differential/watch_book.h"

#include <algorithm>

namespace compat {
namespace {

using etcdserverpb::WatchCreateRequest;

const std::string& NoEnd() {
  static const std::string end(1, '\0');
  return end;
}

std::string KeyOf(const WatchCreateRequest& request) {
  return request.key().empty() ? std::string(1, '\0') : request.key();
}

}  // namespace

WatchBook::Outcome WatchBook::OnCreate(const WatchCreateRequest& request, const World& world) {
  ++due_.answers;
  const std::string& end = request.range_end();
  if (!end.empty() && end != NoEnd() && KeyOf(request) >= end) return Outcome::kRefused;
  if (request.start_revision() < 0) return Outcome::kRefused;
  if (request.watch_id() != 0 && watchers_.contains(request.watch_id())) return Outcome::kRefused;
  if (request.start_revision() == 0 || request.start_revision() >= world.compacted) {
    return Outcome::kMade;
  }
  ++due_.answers;
  return Outcome::kCompacted;
}

void WatchBook::Register(int64_t id, const WatchCreateRequest& request, Outcome outcome,
                         const World& world) {
  Watcher watcher;
  watcher.key = KeyOf(request);
  watcher.end = request.range_end();
  watcher.start = request.start_revision() == 0 ? world.current + 1 : request.start_revision();
  watcher.asked = request.start_revision();
  watcher.compacted = outcome == Outcome::kCompacted;
  for (int filter : request.filters()) {
    watcher.no_put = watcher.no_put || filter == WatchCreateRequest::NOPUT;
    watcher.no_delete = watcher.no_delete || filter == WatchCreateRequest::NODELETE;
  }
  auto owed = static_cast<size_t>(
      std::count_if(world.history.begin(), world.history.end(),
                    [&watcher](const Change& change) { return Matches(watcher, change); }));
  due_.events += owed;
  silent_catch_up_ = silent_catch_up_ || (owed == 0 && watcher.start <= world.current);
  watchers_[id] = watcher;
}

void WatchBook::OnCancel(int64_t id) { due_.answers += watchers_.erase(id); }

bool WatchBook::OnProgress(const World& world) {
  bool answered = !watchers_.empty() &&
                  std::all_of(watchers_.begin(), watchers_.end(), [&world](const auto& entry) {
                    return !entry.second.compacted && entry.second.asked <= world.current;
                  });
  due_.answers += answered ? 1 : 0;
  return answered;
}

void WatchBook::OnChange(const Change& change) {
  due_.events += static_cast<size_t>(
      std::count_if(watchers_.begin(), watchers_.end(),
                    [&change](const auto& entry) { return Matches(entry.second, change); }));
}

bool WatchBook::Matches(const Watcher& watcher, const Change& change) {
  if (watcher.compacted || change.revision < watcher.start) return false;
  if (change.is_delete ? watcher.no_delete : watcher.no_put) return false;
  if (watcher.end.empty()) return change.key == watcher.key;
  return change.key >= watcher.key && (watcher.end == NoEnd() || change.key < watcher.end);
}

}  // namespace compat
