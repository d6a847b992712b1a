// SPDX-License-Identifier: Apache-2.0
// Everything one member says to another. One type per kind, so that an impossible combination of
// fields cannot be built; Envelope adds who and to whom. A message without a term (ForwardPropose,
// ReadRequest) never changes the receiver's term. Values; entries inside are shared, not copied.
#pragma once

#include "store/raft/types.h"

#include <string>
#include <variant>
#include <vector>

namespace store::raft {

struct AppendRequest {
  Term term;
  Index prev;
  Term prev_term;
  Index commit;
  std::vector<EntryPtr> entries;
};
// ok: `index` is the last entry now known to match. Not ok: `index` repeats the refused prev, and
// (hint, hint_term) is the follower's last entry with a term <= prev_term, so the leader skips a
// whole term.
struct AppendReply {
  Term term;
  bool ok = false;
  Index index;
  Index hint;
  Term hint_term;
};
struct Heartbeat {
  Term term;
  Index commit;  // min(match of the receiver, commit of the sender)
  ReadId round;
};
struct HeartbeatReply {
  Term term;
  ReadId round;
};
struct VoteRequest {
  Term term;  // of a pre-vote: the term it would campaign in
  Index last;
  Term last_term;
  bool pre = false;
  bool transfer = false;  // told to by the leader: leader stickiness does not apply
};
struct VoteReply {
  Term term;
  bool granted = false;
  bool pre = false;
};
struct SnapshotNotice {  // the bytes travel on a stream of their own
  Term term;
  SnapshotMeta meta;
};
struct TimeoutNow {
  Term term;
};
struct ForwardPropose {  // follower to leader
  std::vector<std::string> commands;
};
struct ReadRequest {  // follower to leader
  ReadId batch;
};
struct ReadReply {
  Term term;
  ReadId batch;
  Index index;
};

using Message =
    std::variant<AppendRequest, AppendReply, Heartbeat, HeartbeatReply, VoteRequest, VoteReply,
                 SnapshotNotice, TimeoutNow, ForwardPropose, ReadRequest, ReadReply>;

struct Envelope {
  NodeId from;
  NodeId to;
  Message message;
};

}  // namespace store::raft
