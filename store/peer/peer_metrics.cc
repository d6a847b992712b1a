// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_metrics.h"

#include <fmt/format.h>

namespace store::peer {
namespace {

std::string Hex(raft::NodeId id) { return fmt::format("{:x}", id); }

}  // namespace

PeerMetrics::PeerMetrics(Registry& registry, raft::NodeId self)
    : self_(Hex(self)),
      sent_bytes_(registry.AddCounters("etcd_network_peer_sent_bytes_total",
                                       "The total number of bytes sent to peers.", {"To"})),
      received_bytes_(registry.AddCounters("etcd_network_peer_received_bytes_total",
                                           "The total number of bytes received from peers.",
                                           {"From"})),
      sent_failures_(registry.AddCounters("etcd_network_peer_sent_failures_total",
                                          "The total number of send failures from peers.", {"To"})),
      received_failures_(registry.AddCounters("etcd_network_peer_received_failures_total",
                                              "The total number of receive failures from peers.",
                                              {"From"})),
      disconnected_(registry.AddCounters("etcd_network_disconnected_peers_total",
                                         "The total number of disconnected peers.",
                                         {"Local", "Remote"})),
      active_(registry.AddGauges("etcd_network_active_peers",
                                 "The current number of active peer connections.",
                                 {"Local", "Remote"})),
      clock_difference_(registry.AddGauges(
          "sluice_peer_clock_difference_milliseconds",
          "How far the wall clock of the peer is ahead of this member's.", {"To"})),
      queued_(registry.AddGauges("sluice_peer_queued_bytes",
                                 "Bytes that wait for the connection to the peer.", {"To"})),
      round_trip_(registry.AddHistograms("etcd_network_peer_round_trip_time_seconds",
                                         "Round-Trip-Time histogram between peers", {"To"},
                                         Histogram::Exponential(0.0001, 2, 16))),
      refused_(registry.AddCounter("sluice_peer_streams_refused_total",
                                   "Streams of peers that were refused over who they are.")) {}

PeerCounters PeerMetrics::Of(raft::NodeId peer) {
  const std::string id = Hex(peer);
  return {.sent_bytes = sent_bytes_.With({id}),
          .received_bytes = received_bytes_.With({id}),
          .sent_failures = sent_failures_.With({id}),
          .received_failures = received_failures_.With({id}),
          .disconnects = disconnected_.With({self_, id}),
          .active = active_.With({self_, id}),
          .clock_difference_ms = clock_difference_.With({id}),
          .queued_bytes = queued_.With({id}),
          .round_trip = round_trip_.With({id})};
}

}  // namespace store::peer
