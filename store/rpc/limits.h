// SPDX-License-Identifier: Apache-2.0
// Every limit of the transport in one place, with etcd's values where etcd has one. Plain values,
// set before a server or channel starts. The table in README.md says what happens when each is
// reached.
#pragma once

#include "store/base/clock.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace store::rpc {

struct KeepalivePolicy {
  // Pings of the peer: not more often than this, and only while it has streams open. Three too many
  // end the connection (GOAWAY ENHANCE_YOUR_CALM "too_many_pings").
  Duration peer_interval_min = std::chrono::seconds(5);
  bool peer_may_ping_idle = false;
  // Own pings after this long without a byte from the peer; no answer within the timeout ends the
  // connection.
  Duration interval = std::chrono::hours(2);
  Duration timeout = std::chrono::seconds(20);
};

// A budget that refills: `burst` at once, then `per_second`.
struct Rate {
  double burst;
  double per_second;
};

struct Limits {
  size_t message_bytes_max = (1536 << 10) + (512 << 10);
  uint32_t streams_max = 0xffffffff;  // per connection, at once
  size_t header_bytes_max = 64 << 10;
  int32_t stream_window = 1 << 20;
  int32_t connection_window = 16 << 20;
  // A stream's own send buffer: Send says false above it.
  size_t send_buffer_bytes = 1 << 20;
  // What one connection may make us keep: header lists of its open streams, announced sizes of its
  // unfinished messages, unfinished bodies.
  size_t input_bytes_max = 64 << 20;
  // Answers of one connection that wait for its client to read; above it new streams are refused.
  size_t unsent_bytes_max = 64 << 20;

  // RST_STREAM of the peer ("rapid reset", CVE-2023-44487) and ours for what it did wrong ("made
  // you reset", CVE-2025-8671).
  Rate resets{1000, 200};
  Rate settings{100, 10};           // SETTINGS frames, each costs an answer
  Rate empty_frames{10'000, 1000};  // PRIORITY and DATA without bytes: work without progress

  size_t http_body_bytes_max = 4 << 20;
  Duration sniff_timeout = std::chrono::seconds(120);      // first bytes, as grpc-go's handshake
  Duration http_header_timeout = std::chrono::minutes(5);  // whole header, as etcd's server
  Duration http_body_timeout = std::chrono::minutes(5);
  Duration http_idle_timeout = std::chrono::minutes(5);

  KeepalivePolicy keepalive;
};

}  // namespace store::rpc
