// SPDX-License-Identifier: Apache-2.0
// A read-only picture of a Raft for metrics, tests and invariants, and how it is printed. Values.
#pragma once

#include "store/raft/output.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace store::raft {

enum class ProgressState : uint8_t { kProbe, kReplicate, kSnapshot };

// What a host looks at on every turn; copies nothing that allocates.
struct Position {
  Role role = Role::kFollower;
  NodeId leader;
  Term term;
  Index commit;
  Index applied;
  Index first;  // first index still in the log (truncated + 1)
  Index last;
  size_t window_bytes = 0;
  size_t uncommitted_bytes = 0;
};

struct PeerStatus {
  NodeId id;
  Index match;
  Index next;
  ProgressState state = ProgressState::kProbe;
  bool active = false;  // heard from within an election timeout
  bool learner = false;
  size_t inflight_messages = 0;
  size_t inflight_bytes = 0;
};

struct Status {
  NodeId id;
  Role role = Role::kFollower;
  NodeId leader;
  Term term;
  NodeId vote;
  Index commit;
  Index applied;
  Index stable;  // durable here
  Index first;   // first index still in the log (truncated + 1)
  Index last;
  Term last_term;
  ConfState conf;
  bool conf_change_pending = false;
  size_t window_bytes = 0;
  size_t uncommitted_bytes = 0;
  uint64_t units_in_flight = 0;
  std::vector<PeerStatus> peers;  // leader only, ascending by id
};

// To whom leadership is handed over: of the voters that fit, the one that has most of the log.
// 0: there is none.
template <class Fits>
NodeId HeirOf(const Status& status, const Fits& fits) {
  const PeerStatus* heir = nullptr;
  for (const PeerStatus& peer : status.peers) {
    if (peer.id == status.id || peer.learner || !fits(peer)) continue;
    if (heir == nullptr || peer.match > heir->match) heir = &peer;
  }
  return heir == nullptr ? NodeId() : heir->id;
}

std::string_view Name(Role role);
std::string_view Name(ProgressState state);
// "1,2,3 learners 4", for logs and tests.
std::string ToString(const ConfState& conf);
// One line of the member itself and one for each peer.
std::string ToString(const Status& status);

}  // namespace store::raft
