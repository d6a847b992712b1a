// SPDX-License-Identifier: Apache-2.0
// The follower: appends, heartbeats, hints on refusal (thesis 3.5 and the optimisation at its end),
// and reads that only the leader can grant.
#include "store/base/check.h"
#include "store/raft/raft.h"

#include <algorithm>
#include <utility>

namespace store::raft {
namespace {

constexpr size_t kForwardedMax = 32;

}  // namespace

// A message of the current term's leader.
void Raft::HeardLeader(NodeId from) {
  CHECK(leader() == nullptr, "two leaders in term {}: {} and {}", term_, config_.id, from);
  if (follower() == nullptr || follower()->leader != from) {
    CHECK(!LeaderId(), "two leaders in term {}: {} and {}", term_, LeaderId(), from);
    BecomeFollower(term_, from);
  }
  election_elapsed_ = 0;
  campaign_wanted_ = false;
}

void Raft::Handle(NodeId from, AppendRequest& request) {
  HeardLeader(from);
  if (restoring_) return;  // the log is about to be replaced; the leader asks again
  // What is committed here is in every leader's log; only what follows can differ.
  Index prev = request.prev;
  Index end = prev + request.entries.size();
  if (end < log_.commit() || (end == log_.commit() && prev < log_.commit())) {
    SendDurably(from, AppendReply{term_, true, log_.commit(), Index(), Term()});
    return;
  }
  if (prev >= log_.commit() && log_.TermAt(prev) != request.prev_term) {
    Refuse(from, prev, request.prev_term);
    return;
  }
  for (EntryPtr& entry : request.entries) {
    if (entry->index <= log_.commit()) continue;
    std::optional<Term> own = log_.TermAt(entry->index);
    if (own == entry->term) continue;
    if (own) log_.TruncateSuffix(entry->index);
    log_.Append(std::move(entry));
  }
  log_.CommitTo(std::max(log_.commit(), std::min(request.commit, end)));
  SendDurably(from, AppendReply{term_, true, end, Index(), Term()});
}

void Raft::Refuse(NodeId to, Index prev, Term prev_term) {
  Index hint = log_.LastWithTermAtMost(std::min(prev, log_.last()), prev_term);
  Answer(to, AppendReply{term_, false, prev, hint, *log_.TermAt(hint)});
}

void Raft::Handle(NodeId from, Heartbeat& heartbeat) {
  HeardLeader(from);
  // The sender capped its commit index by what it knows to match here; a heartbeat that was
  // overtaken by a snapshot may still be behind.
  if (!restoring_ && heartbeat.commit <= log_.last()) {
    log_.CommitTo(std::max(log_.commit(), heartbeat.commit));
  }
  Answer(from, HeartbeatReply{term_, heartbeat.round});
}

void Raft::ForwardReads() {
  if (!batch_open_ || !LeaderId() || forwarded_.size() >= kForwardedMax) return;
  batch_open_ = false;
  forwarded_.push_back({last_batch_, 0});
  Send(LeaderId(), ReadRequest{last_batch_});
}

void Raft::Handle(NodeId, ReadReply& reply) {
  auto at = std::find_if(forwarded_.begin(), forwarded_.end(),
                         [&](const ForwardedRead& read) { return read.batch == reply.batch; });
  if (at == forwarded_.end()) return;
  forwarded_.erase(at);
  output_.reads.push_back({reply.batch, reply.index});
}

// Request or answer may be lost. The host asks anew, under a new id (etcd #20418).
void Raft::TickForwardedReads() {
  for (ForwardedRead& read : forwarded_) ++read.ticks;
  std::erase_if(forwarded_, [this](const ForwardedRead& read) {
    bool lost = read.ticks >= config_.election_ticks;
    if (lost) output_.reads_failed.push_back(read.batch);
    return lost;
  });
}

void Raft::FailForwardedReads() {
  for (const ForwardedRead& read : std::exchange(forwarded_, {})) {
    output_.reads_failed.push_back(read.batch);
  }
}

}  // namespace store::raft
