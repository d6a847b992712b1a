// SPDX-License-Identifier: Apache-2.0
#include "store/raft/quorum.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <vector>

namespace store::raft {
namespace {

constexpr size_t kInlineVoters = 9;

uint64_t MajorityValue(std::span<const NodeId> voters,
                       absl::FunctionRef<uint64_t(NodeId)> reached) {
  if (voters.empty()) return std::numeric_limits<uint64_t>::max();
  std::array<uint64_t, kInlineVoters> few;
  std::vector<uint64_t> many;
  std::span<uint64_t> values;
  if (voters.size() <= few.size()) {
    values = std::span(few).first(voters.size());
  } else {
    many.resize(voters.size());
    values = many;
  }
  for (size_t i = 0; i < voters.size(); ++i) values[i] = reached(voters[i]);
  // With n voters sorted ascending, the (n - majority)-th has majority values at or above it.
  std::sort(values.begin(), values.end());
  size_t majority = voters.size() / 2 + 1;
  return values[voters.size() - majority];
}

VoteResult MajorityVote(std::span<const NodeId> voters,
                        absl::FunctionRef<std::optional<bool>(NodeId)> answer) {
  if (voters.empty()) return VoteResult::kWon;
  size_t granted = 0;
  size_t silent = 0;
  for (NodeId voter : voters) {
    std::optional<bool> vote = answer(voter);
    if (!vote) {
      ++silent;
    } else if (*vote) {
      ++granted;
    }
  }
  size_t majority = voters.size() / 2 + 1;
  if (granted >= majority) return VoteResult::kWon;
  return granted + silent >= majority ? VoteResult::kPending : VoteResult::kLost;
}

}  // namespace

uint64_t QuorumValue(const ConfState& conf, absl::FunctionRef<uint64_t(NodeId)> reached) {
  if (conf.voters.empty() && conf.outgoing.empty()) return 0;
  return std::min(MajorityValue(conf.voters, reached), MajorityValue(conf.outgoing, reached));
}

VoteResult QuorumVote(const ConfState& conf,
                      absl::FunctionRef<std::optional<bool>(NodeId)> answer) {
  if (conf.voters.empty() && conf.outgoing.empty()) return VoteResult::kLost;
  VoteResult incoming = MajorityVote(conf.voters, answer);
  VoteResult outgoing = MajorityVote(conf.outgoing, answer);
  if (incoming == VoteResult::kLost || outgoing == VoteResult::kLost) return VoteResult::kLost;
  return incoming == outgoing ? incoming : VoteResult::kPending;
}

bool IsVoter(const ConfState& conf, NodeId node) {
  return std::binary_search(conf.voters.begin(), conf.voters.end(), node) ||
         std::binary_search(conf.outgoing.begin(), conf.outgoing.end(), node);
}

bool IsLearner(const ConfState& conf, NodeId node) {
  return std::binary_search(conf.learners.begin(), conf.learners.end(), node);
}

}  // namespace store::raft
