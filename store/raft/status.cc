// SPDX-License-Identifier: Apache-2.0
#include "store/raft/status.h"

#include "store/raft/quorum.h"
#include "store/raft/raft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace store::raft {

Position Raft::position() const {
  return {.role = CurrentRole().role,
          .leader = LeaderId(),
          .term = term_,
          .commit = log_.commit(),
          .applied = log_.applied(),
          .first = log_.first(),
          .last = log_.last(),
          .window_bytes = log_.window_bytes(),
          .uncommitted_bytes = log_.uncommitted_bytes()};
}

Status Raft::status() const {
  Status status{.id = config_.id,
                .role = CurrentRole().role,
                .leader = LeaderId(),
                .term = term_,
                .vote = vote_,
                .commit = log_.commit(),
                .applied = log_.applied(),
                .stable = log_.stable(),
                .first = log_.first(),
                .last = log_.last(),
                .last_term = log_.last_term(),
                .conf = conf_,
                .conf_change_pending = log_.HasUnappliedConfChange(),
                .window_bytes = log_.window_bytes(),
                .uncommitted_bytes = log_.uncommitted_bytes(),
                .units_in_flight = log_.units_in_flight(),
                .peers = {}};
  const Leader* self = leader();
  if (self == nullptr) return status;
  status.conf_change_pending = self->pending_conf > log_.applied();
  for (const auto& [node, peer] : self->tracker.all()) {
    status.peers.push_back({.id = node,
                            .match = peer.match(),
                            .next = peer.next(),
                            .state = peer.state(),
                            .active = peer.active() || node == config_.id,
                            .learner = IsLearner(conf_, node),
                            .inflight_messages = peer.inflights().messages(),
                            .inflight_bytes = peer.inflights().bytes()});
  }
  return status;
}

std::string_view Name(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "?";
}

std::string_view Name(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe:
      return "probe";
    case ProgressState::kReplicate:
      return "replicate";
    case ProgressState::kSnapshot:
      return "snapshot";
  }
  return "?";
}

std::string ToString(const ConfState& conf) {
  std::string text = fmt::format("{}", fmt::join(conf.voters, ","));
  if (!conf.outgoing.empty()) text += fmt::format(" outgoing {}", fmt::join(conf.outgoing, ","));
  if (!conf.learners.empty()) text += fmt::format(" learners {}", fmt::join(conf.learners, ","));
  return text;
}

std::string ToString(const Status& status) {
  std::string text = fmt::format(
      "{} {} term {} vote {} leader {} commit {} applied {} stable {} log [{}, {}]@{} conf {}",
      status.id, Name(status.role), status.term, status.vote, status.leader, status.commit,
      status.applied, status.stable, status.first, status.last, status.last_term,
      ToString(status.conf));
  for (const PeerStatus& peer : status.peers) {
    text +=
        fmt::format("\n  peer {} {} match {} next {}{}{}", peer.id, Name(peer.state), peer.match,
                    peer.next, peer.learner ? " learner" : "", peer.active ? "" : " silent");
  }
  return text;
}

}  // namespace store::raft
