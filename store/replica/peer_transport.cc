// SPDX-License-Identifier: Apache-2.0
#include "store/replica/peer_transport.h"

#include <string>

namespace store::replica {

size_t CostOf(const raft::Message& message) {
  constexpr size_t kStringBytes = sizeof(std::string);
  size_t bytes = sizeof(raft::Envelope);
  if (const auto* append = std::get_if<raft::AppendRequest>(&message)) {
    for (const raft::EntryPtr& entry : append->entries) bytes += sizeof *entry + entry->data.size();
  }
  if (const auto* forward = std::get_if<raft::ForwardPropose>(&message)) {
    for (const std::string& command : forward->commands) bytes += kStringBytes + command.size();
  }
  return bytes;
}

size_t CostOf(const PeerMessage& message) {
  if (const auto* requests = std::get_if<PeerLeaseRequest>(&message)) {
    return requests->requests.size() * sizeof(LeaseRequest);
  }
  if (const auto* answers = std::get_if<PeerLeaseAnswer>(&message)) {
    return answers->answers.size() * sizeof(LeaseAnswer);
  }
  size_t bytes = sizeof(PeerMessage);
  if (const auto* change = std::get_if<PeerMemberChange>(&message)) {
    bytes += change->what.change.context.size();
  }
  return bytes;
}

}  // namespace store::replica
