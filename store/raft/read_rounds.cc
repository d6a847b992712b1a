// SPDX-License-Identifier: Apache-2.0
#include "store/raft/read_rounds.h"

#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace store::raft {

bool ReadRounds::Join(Ticket ticket) {
  auto of_node = std::count_if(waiting_.begin(), waiting_.end(),
                               [&](const Ticket& other) { return other.from == ticket.from; });
  if (static_cast<size_t>(of_node) >= kWaitingPerNodeMax) return false;
  waiting_.push_back(ticket);
  return true;
}

ReadId ReadRounds::Start(Index commit, bool with_reads) {
  ++newest_;
  if (with_reads && WantsRound()) rounds_.push_back({newest_, commit, std::exchange(waiting_, {})});
  return newest_;
}

void ReadRounds::Answered(NodeId node, ReadId round) {
  CHECK(round <= newest_, "answer {} to a round not started, newest {}", round, newest_);
  ReadId& answered = answered_[node];
  answered = std::max(answered, round);
}

ReadId ReadRounds::AnsweredBy(NodeId node) const {
  auto at = answered_.find(node);
  return at == answered_.end() ? ReadId() : at->second;
}

std::vector<ReadRounds::Granted> ReadRounds::Complete(ReadId round) {
  std::vector<Granted> granted;
  while (!rounds_.empty() && rounds_.front().id <= round) {
    for (const Ticket& ticket : rounds_.front().tickets) {
      granted.push_back({ticket, rounds_.front().commit});
    }
    rounds_.pop_front();
  }
  return granted;
}

std::vector<ReadId> ReadRounds::Abandoned(NodeId node) const {
  std::vector<ReadId> batches;
  auto collect = [&](const std::vector<Ticket>& tickets) {
    for (const Ticket& ticket : tickets) {
      if (ticket.from == node) batches.push_back(ticket.batch);
    }
  };
  for (const Round& round : rounds_) collect(round.tickets);
  collect(waiting_);
  return batches;
}

}  // namespace store::raft
