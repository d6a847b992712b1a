// SPDX-License-Identifier: Apache-2.0
// CallBudget: how many calls a member lets wait at once, and how many bytes they may hold. One
// object for all loops; a call takes its share before anything is queued for it and gives it back
// when it is answered, so every queue behind it is bounded by this. Any thread. A call larger than
// the byte limit is let in alone.
#pragma once

#include <atomic>
#include <cstddef>

namespace store::api {

class CallBudget {
 public:
  explicit CallBudget(size_t calls_max = 20'000, size_t bytes_max = 256 << 20)
      : calls_max_(calls_max), bytes_max_(bytes_max) {}
  CallBudget(const CallBudget&) = delete;
  CallBudget& operator=(const CallBudget&) = delete;

  [[nodiscard]] bool TryTake(size_t bytes) {
    size_t calls = calls_.fetch_add(1, std::memory_order_relaxed);
    size_t held = bytes_.fetch_add(bytes, std::memory_order_relaxed);
    bool fits = calls < calls_max_ && (held + bytes <= bytes_max_ || calls == 0);
    if (!fits) Give(bytes);
    return fits;
  }
  void Give(size_t bytes) {
    calls_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  bool full() const { return calls() >= calls_max_; }

  // Gauges.
  size_t calls() const { return calls_.load(std::memory_order_relaxed); }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  size_t calls_max() const { return calls_max_; }
  size_t bytes_max() const { return bytes_max_; }

 private:
  const size_t calls_max_;
  const size_t bytes_max_;
  std::atomic<size_t> calls_{0};
  std::atomic<size_t> bytes_{0};
};

}  // namespace store::api
