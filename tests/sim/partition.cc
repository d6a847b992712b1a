// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/partition.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

namespace store::sim {
namespace {

using raft::NodeId;

PartitionShape DrawShape(Random& random, size_t members) {
  uint64_t drawn = random.Below(10);
  if (drawn < 4) return PartitionShape::kAlone;
  if (drawn < 6 || members < 3) return PartitionShape::kPair;
  return drawn < 8 ? PartitionShape::kHalves : PartitionShape::kBridge;
}

void Shuffle(Random& random, std::vector<NodeId>* nodes) {
  for (size_t left = nodes->size(); left > 1; --left) {
    std::swap((*nodes)[left - 1], (*nodes)[random.Below(left)]);
  }
}

}  // namespace

Partition DrawPartition(Random& random, NodeId node, const std::vector<NodeId>& members) {
  Partition cut;
  cut.shape = DrawShape(random, members.size());
  std::vector<NodeId> others = members;
  std::erase(others, node);
  Shuffle(random, &others);
  // One side of it, the other, and who is on none.
  std::vector<NodeId> side{node};
  std::span<const NodeId> rest = others;
  std::string bridge;
  if (cut.shape == PartitionShape::kPair) {
    rest = rest.first(std::min<size_t>(1, rest.size()));
  } else if (cut.shape == PartitionShape::kBridge) {
    // It may be the one that was chosen: then the first of the others takes its place.
    if (random.Chance(0.3)) std::swap(side.front(), others.front());
    bridge = fmt::format("bridge {}: ", others.front());
    rest = rest.subspan(1);
  }
  if (cut.shape == PartitionShape::kHalves || cut.shape == PartitionShape::kBridge) {
    size_t moved = random.Below(rest.size());
    side.insert(side.end(), rest.begin(), rest.begin() + static_cast<ptrdiff_t>(moved));
    rest = rest.subspan(moved);
  }
  // Who hears nothing any more: the one side, the other, or (mostly) both.
  uint64_t direction = random.Chance(0.4) ? 3 : random.Between(1, 3);
  for (NodeId one : side) {
    for (NodeId other : rest) {
      if ((direction & 1) != 0) cut.links.emplace_back(one, other);
      if ((direction & 2) != 0) cut.links.emplace_back(other, one);
    }
  }
  cut.text = fmt::format("{}{} | {}, direction {}", bridge, fmt::join(side, " "),
                         fmt::join(rest, " "), direction);
  return cut;
}

}  // namespace store::sim
