// SPDX-License-Identifier: Apache-2.0
#include "store/replica/replica.h"

#include "store/base/check.h"
#include "store/base/failpoint.h"

#include <utility>

namespace store::replica {

Replica::Replica(const ReplicaConfig& config, Env& env, Boot boot)
    : config_(config),
      env_(env),
      raft_(config.raft, std::move(boot.raft)),
      proposals_(config.proposals, 2 * config.election_timeout, raft_.position().last, env),
      reads_(config.read_retry, env),
      leases_(config.leases, config.election_timeout, env),
      retention_(config.retention),
      snapshots_(config.snapshots, config.raft.id, env),
      compaction_(config.compaction),
      membership_(config.membership, config.raft.id, config.election_timeout,
                  std::move(boot.members), env) {
  for (const LeaseBoot& lease : boot.leases) {
    leases_.Restore(lease.id, lease.ttl_seconds, lease.remaining_seconds);
  }
  reads_.OnApplied(raft_.position().applied);
}

void Replica::OnBoot() { raft_.Campaign(); }

void Replica::OnTick(TimePoint now) {
  raft_.Tick();
  proposals_.Expire(now);
  proposals_.Retry(raft_);
  reads_.Retry(raft_);
  leases_.OnTick(now, raft_);
  compaction_.OnTick(now, raft_);
  snapshots_.OnTick(now, raft_);
  membership_.OnTick(now, raft_);
}

void Replica::OnPeerMessage(raft::Envelope envelope) {
  // What brings entries takes proposals back: heartbeats have another way.
  bool appends = std::holds_alternative<raft::AppendRequest>(envelope.message);
  raft::NodeId from = envelope.from;
  membership_.OnHeard(from);
  if (auto* forwarded = std::get_if<raft::ForwardPropose>(&envelope.message)) {
    return proposals_.OfferForwarded(std::move(forwarded->commands), raft_);
  }
  raft_.Step(std::move(envelope));
  if (appends && from == raft_.position().leader) proposals_.Release();
}

void Replica::OnPeerOther(raft::NodeId from, const PeerMessage& message) {
  membership_.OnHeard(from);
  if (const auto* change = std::get_if<PeerMemberChange>(&message)) {
    membership_.OnPeerChange(*change, raft_);
  } else if (const auto* refusal = std::get_if<PeerMemberRefusal>(&message)) {
    membership_.OnPeerRefusal(*refusal);
  } else {
    leases_.OnPeer(from, message, raft_);
  }
}

void Replica::OnPeerConnection(raft::NodeId peer, bool up) { membership_.OnConnection(peer, up); }

void Replica::OnAdmin(AdminRequest request) { membership_.OnRequest(std::move(request), raft_); }

void Replica::OnProposals(ProposalBundle bundle) { proposals_.Offer(std::move(bundle), raft_); }

void Replica::OnReadTickets(LoopId loop, uint64_t through) { reads_.Join(loop, through, raft_); }

void Replica::OnPersisted(uint64_t unit) {
  FAILPOINT("replica-persisted");
  raft_.OnPersisted(unit);
}

void Replica::OnApplied(const apply::ApplyReport& report) {
  for (const raft::ConfChange& change : report.conf_changes) raft_.ApplyConfChange(change);
  raft_.OnApplied(report.applied);
  leases_.OnApplied(report);
  compaction_.OnApplied(report.current);
  reads_.OnApplied(report.applied);
  retention_.OnApplied(report.applied, report.bytes);
  CutLog(report.durable);
  membership_.OnApplied(report, raft_);
  proposals_.Retry(raft_);
}

void Replica::OnFlushed(raft::Index durable) { CutLog(durable); }

void Replica::CutLog(raft::Index durable) {
  const raft::Position position = raft_.position();
  // A flush may be told before the batch that it has made durable is told to be applied.
  durable = std::min(durable, position.applied);
  auto through = retention_.Decide(durable, position.first - 1, snapshots_.Kept());
  if (!through) return;
  raft::Term term = raft_.TermAt(*through);
  FAILPOINT("replica-cut-log");
  raft_.TruncateLog(*through);
  env_.TruncateLog(*through, term);
}

void Replica::OnLeaseRequests(LoopId loop, std::span<const LeaseRequest> requests) {
  leases_.OnRequests(loop, requests, raft_);
}

void Replica::OnFetched(raft::NodeId peer, raft::Index from, std::vector<raft::EntryPtr> entries) {
  raft_.OnFetched(peer, from, std::move(entries));
}

void Replica::OnUnreachable(raft::NodeId peer) {
  raft_.OnUnreachable(peer);
  // Until it appends something here, or another one leads: at the latest in two election timeouts.
  if (peer == raft_.position().leader) {
    proposals_.HoldUntil(env_.Now() + 2 * config_.election_timeout);
  }
}

void Replica::OnSnapshot(SnapshotEvent event) {
  std::visit([this](const auto& one) { Handle(one); }, event);
}

void Replica::Handle(const SnapshotTaken& taken) { snapshots_.OnTaken(taken); }

void Replica::Handle(const SnapshotSent& sent) { snapshots_.OnSent(sent, env_.Now(), raft_); }

void Replica::Handle(const SnapshotReceived& received) { snapshots_.OnReceived(received, raft_); }

// Calls of this member whose command is inside the snapshot get no result: they time out, as in
// etcd, because nobody here knows what became of them. Reads go on: they wait for an index.
void Replica::Handle(const SnapshotInstalled& installed) {
  FAILPOINT("install-told");
  raft_.OnRestored(installed.meta);
  snapshots_.OnInstalled();
  retention_.Reset();
  leases_.OnInstalled(installed);
  compaction_.OnApplied(installed.current);
  reads_.OnApplied(installed.meta.index);
  membership_.OnMembers(installed.members, raft_);
  proposals_.Retry(raft_);
}

bool Replica::OnLeave() { return membership_.OnLeave(raft_); }

void Replica::OnStop() {
  proposals_.FailAll(ErrorCode::kStopped);
  reads_.FailAll(ErrorCode::kStopped);
  leases_.FailAll(ErrorCode::kStopped);
  membership_.FailAll(ErrorCode::kStopped);
}

void Replica::Flush() {
  while (raft_.HasOutput()) Execute(raft_.TakeOutput());
  snapshots_.Settle();
}

// The role goes first: the edge and the lease clock must know who leads before they see what it
// did. The persist unit goes before the messages it does not guard, so that disk and network work
// at the same time.
void Replica::Execute(raft::Output output) {
  if (output.role) HandleRole(*output.role);
  if (output.persist) env_.Persist(std::move(*output.persist));
  for (raft::Envelope& envelope : output.send) env_.Send(std::move(envelope));
  if (output.restore) {
    snapshots_.OnRestore(*output.restore);
    env_.InstallSnapshot(*output.restore);
  }
  if (!output.apply.empty()) env_.Apply(std::move(output.apply));
  for (const raft::ReadGrant& grant : output.reads) {
    reads_.OnGrant(grant);
    leases_.OnGrant(grant);
  }
  for (raft::ReadId batch : output.reads_failed) {
    reads_.OnFailed(batch);
    leases_.OnReadsFailed(batch);
  }
  for (const raft::Fetch& fetch : output.fetch) env_.FetchLog(fetch);
  for (const raft::SnapshotOrder& order : output.snapshots) {
    snapshots_.OnOrder(order, env_.Now());
  }
}

void Replica::HandleRole(const raft::RoleChange& change) {
  leases_.OnRole(change.role, raft_);
  compaction_.OnRole(change.role == raft::Role::kLeader);
  snapshots_.OnRole(change.role == raft::Role::kLeader);
  env_.OnRole(change);
  proposals_.Release();
  membership_.OnRole(change, raft_);
  if (change.leader != raft::NodeId(0)) proposals_.Retry(raft_);
}

}  // namespace store::replica
