// SPDX-License-Identifier: Apache-2.0
// Partitions: which links a cut takes. One member from all others, one pair, two halves of any
// size, or two halves that one member still sees both of; both ways or only one. Pure.
#pragma once

#include "store/base/random.h"
#include "store/raft/types.h"
#include "tests/sim/network.h"

#include <cstdint>
#include <string>
#include <vector>

namespace store::sim {

enum class PartitionShape : uint8_t { kAlone, kPair, kHalves, kBridge };

struct Partition {
  PartitionShape shape = PartitionShape::kAlone;
  std::vector<SimNetwork::Link> links;
  std::string text;  // for the trace
};

// `node`: who is alone or one of the pair. Halves need three members, of which a bridge may be one.
Partition DrawPartition(Random& random, raft::NodeId node,
                        const std::vector<raft::NodeId>& members);

}  // namespace store::sim
