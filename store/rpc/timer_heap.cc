// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/timer_heap.h"

#include <utility>

namespace store::rpc {

TimerHeap::TimerId TimerHeap::Add(TimePoint due, Action action) {
  uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& entry = slots_[slot];
  entry.action = std::move(action);
  ++entry.uses;
  heap_.push_back({due, next_order_++, slot});
  entry.position = static_cast<uint32_t>(heap_.size() - 1);
  SiftUp(heap_.size() - 1);
  return static_cast<TimerId>(entry.uses) << 32 | slot;
}

bool TimerHeap::Cancel(TimerId id) {
  auto slot = static_cast<uint32_t>(id);
  auto uses = static_cast<uint32_t>(id >> 32);
  if (slot >= slots_.size() || slots_[slot].uses != uses) return false;
  size_t position = slots_[slot].position;
  if (position >= heap_.size() || heap_[position].slot != slot) return false;
  // Destroyed here, after the heap is whole again: it may cancel other timers.
  Action dropped = Remove(position);
  return true;
}

std::optional<TimePoint> TimerHeap::NextDue() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().due;
}

Action TimerHeap::PopDue(TimePoint now) {
  if (heap_.empty() || heap_.front().due > now) return {};
  return Remove(0);
}

void TimerHeap::Clear() {
  while (!heap_.empty()) Remove(heap_.size() - 1);
}

void TimerHeap::Put(size_t position, const Entry& entry) {
  heap_[position] = entry;
  slots_[entry.slot].position = static_cast<uint32_t>(position);
}

void TimerHeap::SiftUp(size_t position) {
  Entry moving = heap_[position];
  while (position > 0) {
    size_t parent = (position - 1) / 2;
    if (!moving.Before(heap_[parent])) break;
    Put(position, heap_[parent]);
    position = parent;
  }
  Put(position, moving);
}

void TimerHeap::SiftDown(size_t position) {
  Entry moving = heap_[position];
  while (true) {
    size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].Before(heap_[child])) ++child;
    if (!heap_[child].Before(moving)) break;
    Put(position, heap_[child]);
    position = child;
  }
  Put(position, moving);
}

Action TimerHeap::Remove(size_t position) {
  uint32_t slot = heap_[position].slot;
  Entry last = heap_.back();
  heap_.pop_back();
  if (position < heap_.size()) {
    Put(position, last);
    SiftUp(position);
    SiftDown(slots_[last.slot].position);
  }
  Action action = std::move(slots_[slot].action);
  slots_[slot].action = nullptr;
  slots_[slot].position = UINT32_MAX;
  free_slots_.push_back(slot);
  return action;
}

}  // namespace store::rpc
