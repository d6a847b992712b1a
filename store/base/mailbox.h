// SPDX-License-Identifier: Apache-2.0
// Mailbox: the queue between two threads, bounded in items and bytes. Any thread posts, one thread
// drains. Nobody blocks on a full mailbox: TryPost refuses and its caller keeps the item.
// PostReserved is for answers whose room was reserved when the question was admitted; they are
// bounded by that admission and do not count here. The consumer takes everything in one swap, so at
// most one queue's worth is in its hands beside the queue. It waits with Wait, or, if it is an
// event loop, is woken through `wake` (write to an eventfd).
#pragma once

#include "store/base/clock.h"
#include "store/base/thread.h"

#include <absl/functional/any_invocable.h>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace store {

struct MailboxLimits {
  size_t items_max;
  size_t bytes_max;
};

template <std::movable T>
class Mailbox {
 public:
  // `wake` is called by the posting thread, without a lock held, each time the mailbox stops being
  // empty, and by Close. Two threads may be in it at once. It must be valid while anybody may post.
  explicit Mailbox(MailboxLimits limits, absl::AnyInvocable<void()> wake = {})
      : limits_(limits), wake_(std::move(wake)) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // False if full or closed; `item` is moved from only if accepted. An item larger than the byte
  // limit is admitted alone: when nothing else posted by TryPost is queued.
  [[nodiscard]] bool TryPost(T&& item, size_t item_bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    bool was_empty = false;
    {
      MutexLock lock(mutex_);
      if (closed_ || admitted_items_ >= limits_.items_max) return false;
      bool fits =
          admitted_bytes_ <= limits_.bytes_max && item_bytes <= limits_.bytes_max - admitted_bytes_;
      if (!fits && admitted_items_ > 0) return false;
      ++admitted_items_;
      admitted_bytes_ += item_bytes;
      was_empty = Push(std::move(item), item_bytes);
    }
    if (was_empty) Wake();
    return true;
  }

  // Refused only after Close: then the item is dropped.
  void PostReserved(T item, size_t item_bytes = 0) ABSL_LOCKS_EXCLUDED(mutex_) {
    bool was_empty = false;
    {
      MutexLock lock(mutex_);
      if (closed_) return;
      was_empty = Push(std::move(item), item_bytes);
    }
    if (was_empty) Wake();
  }

  // Consumer: appends everything queued to `out`, in the order of posting.
  void Drain(std::vector<T>* out) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    if (out->empty()) {
      out->swap(queue_);
    } else {
      std::move(queue_.begin(), queue_.end(), std::back_inserter(*out));
      queue_.clear();
    }
    admitted_items_ = 0;
    admitted_bytes_ = 0;
    items_.store(0, std::memory_order_relaxed);
    bytes_.store(0, std::memory_order_relaxed);
  }

  // Consumer: true as soon as there is something to drain, false at the deadline (SystemClock) or
  // when the mailbox is closed and empty.
  bool Wait(TimePoint deadline = TimePoint::max()) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    while (queue_.empty() && !closed_) {
      if (!condition_.WaitUntil(mutex_, deadline)) break;
    }
    return !queue_.empty();
  }

  // Posts are refused from now on; what is queued can still be drained.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(mutex_);
      if (closed_) return;
      closed_ = true;
    }
    Wake();
  }
  bool closed() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return closed_;
  }

  // Gauges, reserved items included; any thread.
  size_t items() const { return items_.load(std::memory_order_relaxed); }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  const MailboxLimits& limits() const { return limits_; }

 private:
  // True if the queue was empty.
  bool Push(T&& item, size_t item_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    queue_.push_back(std::move(item));
    items_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(item_bytes, std::memory_order_relaxed);
    return queue_.size() == 1;
  }
  void Wake() {
    condition_.NotifyOne();
    if (wake_) wake_();
  }

  const MailboxLimits limits_;
  absl::AnyInvocable<void()> wake_;

  mutable Mutex mutex_;
  CondVar condition_;
  std::vector<T> queue_ ABSL_GUARDED_BY(mutex_);
  // Of the items posted by TryPost; what the limits are compared with.
  size_t admitted_items_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t admitted_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<size_t> items_ = 0;
  std::atomic<size_t> bytes_ = 0;
};

}  // namespace store
