// SPDX-License-Identifier: Apache-2.0
// DiskAllowance: what may be admitted until the disk has been looked at again. A look is a tenth of
// a second old, in which a fast client writes a small disk full. TryTake by any thread, before a
// call is admitted; Grant by the one that looks (DiskGuard). While there is plenty nothing is
// counted, so that a put touches no shared line. A bound of bytes, not a queue: what was taken is
// never given back, the next look finds it on the disk.
#pragma once

#include <atomic>
#include <cstdint>

namespace store::replica {

class DiskAllowance {
 public:
  // More than is admitted between two looks.
  static constexpr int64_t kPlenty = 1LL << 30;

  // False: more than the last look has left.
  [[nodiscard]] bool TryTake(int64_t bytes) {
    if (!counting_.load(std::memory_order_acquire)) return true;
    const int64_t taken = taken_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (taken <= end_.load(std::memory_order_relaxed)) return true;
    taken_.fetch_sub(bytes, std::memory_order_relaxed);
    refused_.store(bytes, std::memory_order_relaxed);
    return false;
  }

  // Asked before anything else of a look: what is taken afterwards counts against its grant.
  int64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  // What the call asked for that was refused last since the last grant. 0: none was.
  int64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // `bytes` from where `taken` stood.
  void Grant(int64_t taken, int64_t bytes) {
    end_.store(taken + bytes, std::memory_order_relaxed);
    // Whoever begins to count finds this end, not that of an earlier grant.
    counting_.store(bytes < kPlenty, std::memory_order_release);
    refused_.store(0, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> counting_{false};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> end_{0};
  alignas(64) std::atomic<int64_t> taken_{0};
};

}  // namespace store::replica
