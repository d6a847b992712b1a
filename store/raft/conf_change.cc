// SPDX-License-Identifier: Apache-2.0
#include "store/raft/conf_change.h"

#include <algorithm>
#include <vector>

namespace store::raft {
namespace {

constexpr size_t kHeaderBytes = 9;

void Insert(std::vector<NodeId>* nodes, NodeId node) {
  auto at = std::lower_bound(nodes->begin(), nodes->end(), node);
  if (at == nodes->end() || *at != node) nodes->insert(at, node);
}

void Erase(std::vector<NodeId>* nodes, NodeId node) {
  auto at = std::lower_bound(nodes->begin(), nodes->end(), node);
  if (at != nodes->end() && *at == node) nodes->erase(at);
}

bool Contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::binary_search(nodes.begin(), nodes.end(), node);
}

bool SortedUnique(const std::vector<NodeId>& nodes) {
  for (size_t i = 1; i < nodes.size(); ++i) {
    if (!(nodes[i - 1] < nodes[i])) return false;
  }
  return nodes.empty() || nodes.front() != NodeId(0);
}

}  // namespace

ConfState Changed(const ConfState& conf, const ConfChange& change) {
  ConfState next = conf;
  switch (change.kind) {
    case ConfChangeKind::kNone:
      break;
    case ConfChangeKind::kAddVoter:
      Erase(&next.learners, change.node);
      Insert(&next.voters, change.node);
      break;
    case ConfChangeKind::kAddLearner:
      // A voter is not demoted this way: etcd has no such verb, and it could lose the quorum.
      if (!Contains(next.voters, change.node)) Insert(&next.learners, change.node);
      break;
    case ConfChangeKind::kRemove:
      if (next.voters.size() == 1 && next.voters.front() == change.node) break;
      Erase(&next.voters, change.node);
      Erase(&next.learners, change.node);
      break;
  }
  return next;
}

bool IsValid(const ConfState& conf) {
  if (!SortedUnique(conf.voters) || !SortedUnique(conf.outgoing) || !SortedUnique(conf.learners)) {
    return false;
  }
  return std::none_of(conf.learners.begin(), conf.learners.end(), [&](NodeId learner) {
    return Contains(conf.voters, learner) || Contains(conf.outgoing, learner);
  });
}

std::string EncodeConfChange(const ConfChange& change) {
  std::string bytes;
  bytes.reserve(kHeaderBytes + change.context.size());
  bytes.push_back(static_cast<char>(change.kind));
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(change.node.value() >> shift & 0xff));
  }
  bytes += change.context;
  return bytes;
}

std::optional<ConfChange> DecodeConfChange(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  if (static_cast<uint8_t>(bytes[0]) > static_cast<uint8_t>(ConfChangeKind::kRemove)) {
    return std::nullopt;
  }
  uint64_t node = 0;
  for (size_t i = 1; i < kHeaderBytes; ++i) node = node << 8 | static_cast<uint8_t>(bytes[i]);
  return ConfChange{static_cast<ConfChangeKind>(bytes[0]), NodeId(node),
                    std::string(bytes.substr(kHeaderBytes))};
}

}  // namespace store::raft
