// SPDX-License-Identifier: Apache-2.0
#include "store/raft/invariants.h"

#include "store/raft/conf_change.h"
#include "store/raft/quorum.h"

#include <fmt/format.h>

namespace store::raft {
namespace {

std::string PeerProblem(const Config& config, const Status& status, const PeerStatus& peer) {
  if (peer.match >= peer.next) {
    return fmt::format("peer {}: match {} not below next {}", peer.id, peer.match, peer.next);
  }
  if (peer.match > status.last) {
    return fmt::format("peer {}: match {} behind last {}", peer.id, peer.match, status.last);
  }
  // Of the bytes, Inflights::Add itself checks what holds: one message may pass the limit alone.
  if (peer.inflight_messages > config.inflight_messages_max) {
    return fmt::format("peer {}: {} messages in flight", peer.id, peer.inflight_messages);
  }
  if (peer.learner == IsVoter(status.conf, peer.id)) {
    return fmt::format("peer {}: learner and voter at once, or neither", peer.id);
  }
  return {};
}

std::string LeaderProblem(const Config& config, const Status& status) {
  if (status.role != Role::kLeader) {
    return status.peers.empty() ? std::string() : "peers are tracked without leadership";
  }
  if (status.leader != status.id) return fmt::format("leader follows {}", status.leader);
  if (status.vote != status.id) return fmt::format("leader voted for {}", status.vote);
  if (status.last_term != status.term) {
    return fmt::format("leader of term {} ends its log in term {}", status.term, status.last_term);
  }
  for (const PeerStatus& peer : status.peers) {
    if (std::string problem = PeerProblem(config, status, peer); !problem.empty()) return problem;
    if (peer.id == status.id && peer.match > status.stable) {
      return fmt::format("own match {} behind stable {}", peer.match, status.stable);
    }
  }
  return {};
}

}  // namespace

std::string BasicProblem(const Config& config, const Status& status) {
  if (status.applied > status.commit) {
    return fmt::format("applied {} behind commit {}", status.applied, status.commit);
  }
  if (status.applied > status.stable) {
    return fmt::format("applied {} behind stable {}", status.applied, status.stable);
  }
  if (status.commit > status.last) {
    return fmt::format("commit {} behind last {}", status.commit, status.last);
  }
  if (status.stable > status.last) {
    return fmt::format("stable {} behind last {}", status.stable, status.last);
  }
  if (status.first > status.applied + 1) {
    return fmt::format("log starts at {}, applied is {}", status.first, status.applied);
  }
  if (status.last_term > status.term) {
    return fmt::format("entry of term {} in term {}", status.last_term, status.term);
  }
  if (!IsValid(status.conf)) return "conf state is not sorted and disjoint";
  bool campaigns = status.role == Role::kCandidate || status.role == Role::kPreCandidate;
  if (campaigns && !IsVoter(status.conf, status.id)) return "campaigns without a vote";
  return LeaderProblem(config, status);
}

std::string DeltaProblem(const Status& before, const Status& after) {
  if (after.term < before.term) {
    return fmt::format("term went from {} to {}", before.term, after.term);
  }
  if (after.term == before.term && before.vote && after.vote != before.vote) {
    return fmt::format("vote of term {} went from {} to {}", after.term, before.vote, after.vote);
  }
  if (after.commit < before.commit) {
    return fmt::format("commit went from {} to {}", before.commit, after.commit);
  }
  if (after.applied < before.applied) {
    return fmt::format("applied went from {} to {}", before.applied, after.applied);
  }
  if (after.first < before.first) {
    return fmt::format("log start went from {} to {}", before.first, after.first);
  }
  bool led = before.role == Role::kLeader && after.role == Role::kLeader;
  if (led && before.term == after.term && after.last < before.last) {
    return fmt::format("leader dropped its own entries: last went from {} to {}", before.last,
                       after.last);
  }
  return {};
}

std::string GroupHistory::Observe(const Status& status) {
  if (status.role != Role::kLeader) return {};
  auto [at, fresh] = leaders_.try_emplace(status.term, status.id);
  if (at->second == status.id) return {};
  return fmt::format("two leaders in term {}: {} and {}", status.term, at->second, status.id);
}

std::string GroupHistory::ObserveApplied(NodeId node, const Entry& entry) {
  auto [at, fresh] = applied_.try_emplace(entry.index, entry);
  const Entry& first = at->second;
  if (first.term == entry.term && first.kind == entry.kind && first.data == entry.data) return {};
  return fmt::format("member {} applies another entry at {} (term {}, before it term {})", node,
                     entry.index, entry.term, first.term);
}

}  // namespace store::raft
