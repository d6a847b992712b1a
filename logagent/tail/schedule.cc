// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/schedule.h"

#include "store/base/check.h"

#include <algorithm>

namespace logagent {

void Schedule::Ready(TaskId task) {
  auto [slot, added] = slots_.try_emplace(task);
  if (added) {
    slot->second.place = Place::kLive;
    live_.push_back(task);
  }
}

void Schedule::Remove(TaskId task) { slots_.erase(task); }

std::optional<Schedule::Turn> Schedule::Next() {
  for (int list = 0; list < 2; ++list) {
    bool live = live_turn_;
    live_turn_ = !live_turn_;
    std::deque<TaskId>& queue = live ? live_ : backlog_;
    while (!queue.empty()) {
      TaskId task = queue.front();
      queue.pop_front();
      auto slot = slots_.find(task);
      if (slot == slots_.end() || slot->second.place != (live ? Place::kLive : Place::kBacklog)) {
        continue;  // removed meanwhile
      }
      slot->second.place = Place::kRunning;
      slot->second.deficit += quantum_;
      return Turn{task, slot->second.deficit};
    }
  }
  return std::nullopt;
}

void Schedule::Done(TaskId task, uint64_t used, bool more) {
  auto slot = slots_.find(task);
  if (slot == slots_.end()) {
    return;
  }
  CHECK(slot->second.place == Place::kRunning);
  if (!more) {
    slots_.erase(slot);
    return;
  }
  slot->second.deficit -= std::min(used, slot->second.deficit);
  slot->second.place = Place::kBacklog;
  backlog_.push_back(task);
}

store::Duration Backoff::Next() {
  store::Duration wait = next_;
  next_ = std::min(next_ * 2, longest_);
  return wait;
}

}  // namespace logagent
