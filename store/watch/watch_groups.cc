// SPDX-License-Identifier: Apache-2.0
#include "store/watch/watch_groups.h"

#include "store/base/check.h"
#include "store/watch/stream_state.h"

namespace store::watch {
namespace {

std::optional<std::string> EndOf(const KeyRange& range) {
  if (range.unbounded) return std::nullopt;
  return range.to;
}

}  // namespace

bool RangeGroup::Wants(mvcc::EventType type) const {
  for (uint8_t bits = 0; bits < FilterClass::kCount; ++bits) {
    if (classes[bits] > 0 && FilterClass(bits).Wants(type)) return true;
  }
  return false;
}

bool RangeGroup::WantsPrevious(mvcc::EventType type) const {
  for (uint8_t bits = 0; bits < FilterClass::kCount; ++bits) {
    const FilterClass filter(bits);
    if (classes[bits] > 0 && filter.with_prev() && filter.Wants(type)) return true;
  }
  return false;
}

void WatcherIndex::Insert(Watcher& watcher) {
  RangeGroup& group = GroupOf(watcher.spec.range);
  CHECK(watcher.range == nullptr, "watcher {} stands in two indexes", watcher.serial);
  watcher.range = &group;
  group.watchers.emplace(watcher.serial, &watcher);
  ++group.classes[watcher.filter.bits()];
  watchers_.emplace(watcher.serial, &watcher);
}

void WatcherIndex::Erase(Watcher& watcher) {
  CHECK(watchers_.erase(watcher.serial) == 1);
  RangeGroup& group = *watcher.range;
  watcher.range = nullptr;
  group.watchers.erase(watcher.serial);
  --group.classes[watcher.filter.bits()];
  if (group.watchers.empty()) DropGroup(watcher.spec.range);
}

RangeGroup& WatcherIndex::GroupOf(const KeyRange& range) {
  std::unique_ptr<RangeGroup>& group =
      range.IsPoint() ? points_[range.from] : ranges_[{range.from, EndOf(range)}];
  if (group == nullptr) {
    group = std::make_unique<RangeGroup>(next_group_++);
    if (!range.IsPoint()) tree_.Insert({range.from, EndOf(range)}, {group->id(), group.get()});
  }
  return *group;
}

void WatcherIndex::DropGroup(const KeyRange& range) {
  if (range.IsPoint()) {
    points_.erase(range.from);
    return;
  }
  auto it = ranges_.find({range.from, EndOf(range)});
  CHECK(it != ranges_.end());
  CHECK(tree_.Erase({range.from, EndOf(range)}, {it->second->id(), it->second.get()}));
  ranges_.erase(it);
}

void WatcherIndex::Match(std::string_view key, absl::FunctionRef<void(RangeGroup&)> visit) const {
  if (auto it = points_.find(key); it != points_.end()) visit(*it->second);
  tree_.Stab(key, [&](const auto&, const GroupRef& ref) { visit(*ref.group); });
}

void WatcherIndex::ForEach(absl::FunctionRef<void(Watcher&)> visit) const {
  for (const auto& [serial, watcher] : watchers_) visit(*watcher);
}

void WatchGroups::Place(Watcher& watcher, Revision current) {
  Remove(watcher);
  if (watcher.stream->outbox.full()) {
    watcher.group = Group::kParked;
    ++parked_;
  } else if (watcher.next <= current) {
    watcher.group = Group::kLagging;
    lagging_.Insert(watcher);
    lagging_order_.emplace(std::pair(watcher.next, watcher.serial), &watcher);
  } else if (watcher.next == current + 1) {
    watcher.group = Group::kSynced;
    synced_.Insert(watcher);
  } else {
    watcher.group = Group::kFuture;
    future_.emplace(std::pair(watcher.next, watcher.serial), &watcher);
  }
}

void WatchGroups::Remove(Watcher& watcher) {
  switch (std::exchange(watcher.group, Group::kNone)) {
    case Group::kNone:
      break;
    case Group::kSynced:
      synced_.Erase(watcher);
      break;
    case Group::kParked:
      --parked_;
      break;
    case Group::kFuture:
      CHECK(future_.erase({watcher.next, watcher.serial}) == 1);
      break;
    case Group::kLagging:
      lagging_.Erase(watcher);
      CHECK(lagging_order_.erase({watcher.next, watcher.serial}) == 1);
      break;
  }
}

void WatchGroups::AdmitFuture(Revision upto) {
  while (!future_.empty() && future_.begin()->first.first <= upto) {
    Watcher& watcher = *future_.begin()->second;
    // One step below its next revision it is in sync; in a full stream it is parked with the same
    // next.
    Place(watcher, watcher.next - 1);
  }
}

void WatchGroups::Jump(Revision from, Revision to) {
  std::vector<Watcher*> moved;
  synced_.ForEach([&](Watcher& watcher) { moved.push_back(&watcher); });
  for (Watcher* watcher : moved) {
    Remove(*watcher);
    watcher->next = std::max(watcher->next, from + 1);
    Place(*watcher, to);
  }
  moved.clear();
  // Back and forth: what was ahead may be behind, and what was behind the old position may be ahead
  // of an installed one.
  for (const ByNext* order : {&future_, &lagging_order_}) {
    for (const auto& [key, watcher] : *order) moved.push_back(watcher);
  }
  for (Watcher* watcher : moved) Place(*watcher, to);
}

std::optional<Revision> WatchGroups::LowestLagging(Revision from) const {
  auto it = lagging_order_.lower_bound({from, 0});
  if (it == lagging_order_.end()) return std::nullopt;
  return it->first.first;
}

std::vector<Watcher*> WatchGroups::LaggingUpTo(Revision upto) const {
  std::vector<Watcher*> watchers;
  for (const auto& [key, watcher] : lagging_order_) {
    if (key.first > upto) break;
    watchers.push_back(watcher);
  }
  return watchers;
}

}  // namespace store::watch
