// SPDX-License-Identifier: Apache-2.0
// What peers have made us keep: header lists of open streams, unfinished messages and bodies. An
// InputPool is one server's limit, shared by its loops; each connection has an InputShare with a
// limit of its own, which takes from the pool in steps of a page, so that a call costs no atomic
// operation. Threads: a pool any, a share its connection's loop. A share goes before its pool. What
// is taken beyond use is at most two steps a connection.
#pragma once

#include <atomic>
#include <cstddef>

namespace store::rpc {

class InputPool {
 public:
  explicit InputPool(size_t bytes_max) : bytes_max_(bytes_max) {}
  InputPool(const InputPool&) = delete;
  InputPool& operator=(const InputPool&) = delete;

  [[nodiscard]] bool TryTake(size_t bytes) {
    size_t held = bytes_.fetch_add(bytes, std::memory_order_relaxed);
    bool fits = bytes <= bytes_max_ && held <= bytes_max_ - bytes;
    if (!fits) Give(bytes);
    return fits;
  }
  void Give(size_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> bytes_{0};
};

class InputShare {
 public:
  InputShare(InputPool& pool, size_t bytes_max) : pool_(pool), bytes_max_(bytes_max) {}
  ~InputShare() { pool_.Give(granted_); }
  InputShare(const InputShare&) = delete;
  InputShare& operator=(const InputShare&) = delete;

  [[nodiscard]] bool TryTake(size_t bytes) {
    if (bytes > bytes_max_ || used_ > bytes_max_ - bytes) return false;
    size_t wanted = Steps(used_ + bytes);
    if (wanted > granted_) {
      if (!pool_.TryTake(wanted - granted_)) return false;
      granted_ = wanted;
    }
    used_ += bytes;
    return true;
  }
  void Give(size_t bytes) {
    used_ -= bytes;
    // A step stays, so that calls one after another do not take and give it each time.
    size_t wanted = Steps(used_) + kStepBytes;
    if (granted_ <= wanted) return;
    pool_.Give(granted_ - wanted);
    granted_ = wanted;
  }
  size_t bytes() const { return used_; }

 private:
  static constexpr size_t kStepBytes = 4 << 10;
  static size_t Steps(size_t bytes) { return (bytes + kStepBytes - 1) / kStepBytes * kStepBytes; }

  InputPool& pool_;
  const size_t bytes_max_;
  size_t used_ = 0;
  size_t granted_ = 0;
};

}  // namespace store::rpc
