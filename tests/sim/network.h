// SPDX-License-Identifier: Apache-2.0
// SimNetwork: directed links that delay, lose, duplicate, reorder, hold back and are cut. A message
// is handed to `deliver` at its time if the link still stands then; what it carries is the
// caller's. One thread; everything comes from the generator it is given.
#pragma once

#include "store/base/random.h"
#include "store/raft/message.h"
#include "tests/sim/event_queue.h"

#include <map>
#include <utility>
#include <vector>

namespace store::sim {

struct NetworkOptions {
  Time latency_min = 0;
  Time latency_mean = 0;
  double loss = 0;
  double duplicate = 0;
};

class SimNetwork {
 public:
  using Deliver = absl::AnyInvocable<void(raft::Envelope)>;
  using Link = std::pair<raft::NodeId, raft::NodeId>;  // from, to

  SimNetwork(EventQueue* events, Random random, NetworkOptions options, Deliver deliver)
      : events_(events), random_(random), options_(options), deliver_(std::move(deliver)) {}

  void Send(const raft::Envelope& envelope);
  // Anything else: late or lost, but never twice and never before what was sent ahead of it.
  void SendOther(raft::NodeId from, raft::NodeId to, EventQueue::Event deliver);
  // A stream of its own: late or cut, but nothing is lost on it.
  void SendStream(raft::NodeId from, raft::NodeId to, EventQueue::Event deliver);
  // A link may be cut several times: it stands again when each of them is mended.
  void Cut(const std::vector<Link>& links) {
    for (const Link& link : links) ++cut_[link];
  }
  void Mend(const std::vector<Link>& links);
  bool IsCut(raft::NodeId from, raft::NodeId to) const { return cut_.contains({from, to}); }
  void Clog(raft::NodeId from, raft::NodeId to, Time until) { clogged_[{from, to}] = until; }
  void Heal() {
    cut_.clear();
    clogged_.clear();
  }
  // From now on nothing is lost or doubled.
  void MakeReliable() { options_.loss = options_.duplicate = 0; }
  uint64_t lost() const { return lost_; }

 private:
  Time Latency();
  Time ArrivalOf(const Link& link);
  void Launch(const raft::Envelope& envelope);
  void LaunchInOrder(const Link& link, Time& last, EventQueue::Event deliver);
  void Arrive(const Link& link, EventQueue::Event deliver);

  EventQueue* events_;
  Random random_;
  NetworkOptions options_;
  Deliver deliver_;
  std::map<Link, int> cut_;  // how many times
  std::map<Link, Time> clogged_;
  std::map<Link, Time> other_;   // when the last of SendOther arrives
  std::map<Link, Time> stream_;  // and of SendStream
  uint64_t lost_ = 0;
};

}  // namespace store::sim
