// SPDX-License-Identifier: Apache-2.0
// PeerMetrics: etcd's etcd_network_peer_* families and our own beside them, with one row per member
// spoken to; ids in hexadecimal, as etcd labels them. Made once; rows are looked up when a peer is
// made and are valid while the registry lives. Any thread.
#pragma once

#include "store/base/metrics.h"
#include "store/raft/types.h"

#include <string>

namespace store::peer {

// Of one peer.
struct PeerCounters {
  Counter& sent_bytes;
  Counter& received_bytes;
  Counter& sent_failures;      // messages dropped: no connection, or the queue was full
  Counter& received_failures;  // streams ended over what came
  Counter& disconnects;
  Gauge& active;
  Gauge& clock_difference_ms;
  Gauge& queued_bytes;
  Histogram& round_trip;
};

class PeerMetrics {
 public:
  PeerMetrics(Registry& registry, raft::NodeId self);
  PeerCounters Of(raft::NodeId peer);
  Counter& refused() { return refused_; }

 private:
  const std::string self_;
  MetricFamily<Counter>& sent_bytes_;
  MetricFamily<Counter>& received_bytes_;
  MetricFamily<Counter>& sent_failures_;
  MetricFamily<Counter>& received_failures_;
  MetricFamily<Counter>& disconnected_;
  MetricFamily<Gauge>& active_;
  MetricFamily<Gauge>& clock_difference_;
  MetricFamily<Gauge>& queued_;
  MetricFamily<Histogram>& round_trip_;
  Counter& refused_;
};

}  // namespace store::peer
