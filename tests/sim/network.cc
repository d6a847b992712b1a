// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/network.h"

#include <algorithm>

namespace store::sim {

Time SimNetwork::Latency() {
  // Uniform around the mean, and one in a hundred ten times as late: that is what overtakes.
  auto mean = static_cast<uint64_t>(options_.latency_mean);
  auto time = static_cast<Time>(random_.Below(2 * mean + 1));
  return options_.latency_min + (random_.Chance(0.01) ? 10 * time : time);
}

void SimNetwork::Launch(const raft::Envelope& envelope) {
  Time arrival = events_->now() + Latency();
  auto clog = clogged_.find({envelope.from, envelope.to});
  if (clog != clogged_.end()) arrival = std::max(arrival, clog->second);
  events_->At(arrival, [this, envelope] {
    if (cut_.contains({envelope.from, envelope.to})) {
      ++lost_;
      return;
    }
    deliver_(envelope);
  });
}

void SimNetwork::Send(const raft::Envelope& envelope) {
  if (random_.Chance(options_.loss)) {
    ++lost_;
  } else {
    Launch(envelope);
  }
  if (random_.Chance(options_.duplicate)) Launch(envelope);
}

}  // namespace store::sim
