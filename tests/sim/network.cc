// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/network.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace store::sim {

Time SimNetwork::Latency() {
  // Uniform around the mean, and one in a hundred ten times as late: that is what overtakes.
  auto mean = static_cast<uint64_t>(options_.latency_mean);
  auto time = static_cast<Time>(random_.Below(2 * mean + 1));
  return options_.latency_min + (random_.Chance(0.01) ? 10 * time : time);
}

Time SimNetwork::ArrivalOf(const Link& link) {
  Time arrival = events_->now() + Latency();
  auto clog = clogged_.find(link);
  return clog == clogged_.end() ? arrival : std::max(arrival, clog->second);
}

void SimNetwork::Arrive(const Link& link, EventQueue::Event deliver) {
  if (cut_.contains(link)) {
    ++lost_;
  } else {
    deliver();
  }
}

void SimNetwork::Mend(const std::vector<Link>& links) {
  for (const Link& link : links) {
    auto at = cut_.find(link);
    if (at != cut_.end() && --at->second == 0) cut_.erase(at);
  }
}

void SimNetwork::Launch(const raft::Envelope& envelope) {
  Link link{envelope.from, envelope.to};
  events_->At(ArrivalOf(link),
              [this, link, envelope] { Arrive(link, [this, &envelope] { deliver_(envelope); }); });
}

void SimNetwork::SendOther(raft::NodeId from, raft::NodeId to, EventQueue::Event deliver) {
  Link link{from, to};
  if (random_.Chance(options_.loss)) {
    ++lost_;
    return;
  }
  LaunchInOrder(link, other_[link], std::move(deliver));
}

void SimNetwork::SendStream(raft::NodeId from, raft::NodeId to, EventQueue::Event deliver) {
  Link link{from, to};
  LaunchInOrder(link, stream_[link], std::move(deliver));
}

void SimNetwork::LaunchInOrder(const Link& link, Time& last, EventQueue::Event deliver) {
  last = std::max(last, ArrivalOf(link));
  events_->At(last, [this, link, deliver = std::move(deliver)]() mutable {
    Arrive(link, std::move(deliver));
  });
}

void SimNetwork::Send(const raft::Envelope& envelope) {
  if (random_.Chance(options_.loss)) {
    ++lost_;
  } else {
    Launch(envelope);
  }
  // A forwarded command is no message of the protocol: like a client's request on its connection it
  // comes once or is lost.
  bool twice = random_.Chance(options_.duplicate);
  if (twice && !std::holds_alternative<raft::ForwardPropose>(envelope.message)) Launch(envelope);
}

}  // namespace store::sim
