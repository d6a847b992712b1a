// SPDX-License-Identifier: Apache-2.0
// Majority arithmetic, for one configuration and for a joint one (thesis 4.3: a decision needs a
// majority of both halves, so the joint value is the minimum and a loss in either half is a loss).
// An empty half asks for nothing; a configuration without voters decides nothing. Pure functions,
// any thread.
#pragma once

#include "store/raft/types.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>

namespace store::raft {

enum class VoteResult : uint8_t { kPending, kWon, kLost };

// The greatest value that a quorum has reached, given what each voter has reached.
uint64_t QuorumValue(const ConfState& conf, absl::FunctionRef<uint64_t(NodeId)> reached);

// nullopt: has not answered yet.
VoteResult QuorumVote(const ConfState& conf, absl::FunctionRef<std::optional<bool>(NodeId)> answer);

bool IsVoter(const ConfState& conf, NodeId node);
bool IsLearner(const ConfState& conf, NodeId node);

}  // namespace store::raft
