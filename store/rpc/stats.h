// SPDX-License-Identifier: Apache-2.0
// What a server or channel counts, for /metrics. Written by its loops, read by any thread; every
// field only grows except the gauges.
#pragma once

#include "store/rpc/connection.h"

#include <array>
#include <atomic>
#include <cstdint>

namespace store::rpc {

struct TransportStats {
  using Counter = std::atomic<uint64_t>;

  Counter connections_accepted = 0;
  Counter accept_rests = 0;                   // out of descriptors, or connections_max are open
  std::atomic<int64_t> connections_open = 0;  // gauge
  std::array<Counter, static_cast<size_t>(CloseReason::kCount)> connections_closed{};
  Counter streams_opened = 0;
  std::atomic<int64_t> streams_open = 0;  // gauge
  Counter streams_reset_by_peer = 0;
  Counter streams_refused = 0;            // input_bytes_max, unsent_bytes_max
  std::atomic<int64_t> unsent_bytes = 0;  // gauge: answers that wait for their clients' windows
  Counter http1_requests = 0;
  Counter bytes_read = 0;  // of closed connections
  Counter bytes_written = 0;

  static void Add(Counter& counter, uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
  }
};

}  // namespace store::rpc
