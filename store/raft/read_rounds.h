// SPDX-License-Identifier: Apache-2.0
// ReadRounds: linearizable reads of a leader (thesis 6.4). Requests join the next round; a round is
// one broadcast of heartbeats that carry its number and remembers the commit index at its start.
// Whoever answers round n answers all before it, so one exchange serves every read that waits, and
// a lost heartbeat is made good by the next round: numbers are never used twice, not even for a
// retry (etcd #20418). Lives inside the leader's role. Bounded: kInFlightMax rounds with reads,
// kWaitingPerNodeMax batches a node.
#pragma once

#include "store/raft/types.h"

#include <cstddef>
#include <deque>
#include <map>
#include <vector>

namespace store::raft {

class ReadRounds {
 public:
  static constexpr size_t kInFlightMax = 16;
  static constexpr size_t kWaitingPerNodeMax = 64;

  struct Ticket {
    NodeId from;  // oneself or a follower that forwarded
    ReadId batch;
  };
  struct Granted {
    Ticket ticket;
    Index index;
  };

  // False: too many of that node wait already; it will ask again.
  bool Join(Ticket ticket);
  // Reads wait and another round may start for them.
  bool WantsRound() const { return !waiting_.empty() && rounds_.size() < kInFlightMax; }
  // A new round; all that wait are in it if `with_reads` and another round with reads may be in
  // flight.
  ReadId Start(Index commit, bool with_reads = true);
  ReadId newest() const { return newest_; }
  void Answered(NodeId node, ReadId round);
  ReadId AnsweredBy(NodeId node) const;
  // A quorum answered `round`: what may be served.
  std::vector<Granted> Complete(ReadId round);
  // Batches of `node` that were not granted, oldest first.
  std::vector<ReadId> Abandoned(NodeId node) const;

 private:
  struct Round {
    ReadId id;
    Index commit;
    std::vector<Ticket> tickets;
  };
  ReadId newest_;
  std::vector<Ticket> waiting_;
  std::deque<Round> rounds_;  // with at least one ticket each, ids ascending
  std::map<NodeId, ReadId> answered_;
};

}  // namespace store::raft
