// SPDX-License-Identifier: Apache-2.0
#include "store/raft/config.h"

namespace store::raft {

std::string Config::Validate() const {
  if (!id) return "id must not be 0";
  if (heartbeat_ticks < 1) return "heartbeat_ticks must be at least 1";
  if (election_ticks <= heartbeat_ticks) return "election_ticks must exceed heartbeat_ticks";
  if (message_bytes_max == 0) return "message_bytes_max must not be 0";
  if (inflight_messages_max == 0) return "inflight_messages_max must not be 0";
  if (inflight_bytes_max < message_bytes_max) {
    return "inflight_bytes_max must be at least message_bytes_max";
  }
  if (uncommitted_bytes_max == 0) return "uncommitted_bytes_max must not be 0";
  if (window_bytes_max == 0) return "window_bytes_max must not be 0";
  if (apply_bytes_max == 0) return "apply_bytes_max must not be 0";
  if (lease_reads && !check_quorum) return "lease_reads needs check_quorum";
  return {};
}

}  // namespace store::raft
