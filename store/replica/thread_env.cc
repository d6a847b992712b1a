// SPDX-License-Identifier: Apache-2.0
#include "store/replica/thread_env.h"

#include "store/base/check.h"

#include <algorithm>
#include <map>
#include <utility>

namespace store::replica {
namespace {

constexpr WorkClass kLogWork{0};
// A removed member goes on for a moment, so that the others hear of the removal from it, too.
constexpr Duration kLeaveAfter = std::chrono::seconds(1);

}  // namespace

ThreadEnv::ThreadEnv(const ThreadEnvLimits& limits, ThreadEnvParts parts, uint64_t seed)
    : limits_(limits),
      parts_(std::move(parts)),
      random_(seed),
      mailbox_(limits.mailbox),
      apply_(limits.apply, parts_.machine, MakeApplySinks(), parts_.clock, parts_.log),
      maintenance_(limits.maintenance, parts_.machine, apply_, parts_.clock, parts_.log,
                   MakeMaintenanceHooks()),
      installer_(parts_.machine, parts_.hub, maintenance_, std::move(parts_.open_installed)),
      hub_thread_(parts_.hub),
      log_writer_(parts_.log_store,
                  {.on_durable =
                       [this](uint64_t unit, std::vector<raft::Envelope> release) {
                         for (raft::Envelope& envelope : release) SendNow(std::move(envelope));
                         mailbox_.PostReserved(Persisted{unit});
                       },
                   .on_failed =
                       [this](const Error& error) {
                         // It waited for room on a full disk when the member was told to end.
                         if (error.code() != ErrorCode::kStopped) Fatal(error);
                       }}),
      log_helper_("log-helper", 1, {{"log", 1, 64}}) {}

ThreadEnv::~ThreadEnv() { Stop(); }

LoopId ThreadEnv::AddLoop(Executor& executor, Edge& edge) {
  CHECK(!started_);
  loops_.push_back({&executor, &edge});
  return LoopId(static_cast<uint32_t>(loops_.size() - 1));
}

void ThreadEnv::Start(const ReplicaConfig& config, Boot boot) {
  CHECK(!started_);
  started_ = true;
  self_ = config.raft.id;
  maintenance_.Start(boot.raft.applied);
  {
    apply::StateRef state = parts_.machine.Read();
    OnMembers(state->members, state->removed);
  }
  replica_ = std::make_unique<Replica>(config, static_cast<Env&>(*this), std::move(boot));
  log_helper_.Start();
  log_writer_.Start();
  hub_thread_.Start();
  apply_.Start();
  thread_ = Thread("replica", [this] { Run(); });
}

void ThreadEnv::Stop() {
  if (!started_) return;
  started_ = false;
  apply_.StopWaiting();
  mailbox_.Close();
  thread_.Join();
  log_writer_.Stop();
  apply_.Stop();
  hub_thread_.Stop();
  log_helper_.Stop();
  maintenance_.Stop();
  if (Status flushed = maintenance_.FlushNow(); !flushed) {
    parts_.log.Error("state was not flushed at the stop; the log replays it", {flushed.error()});
  }
}

void ThreadEnv::Fatal(const Error& error) { parts_.fatal(error); }

bool ThreadEnv::TryPropose(ProposalBundle& bundle) {
  const size_t bytes = bundle.bytes;
  const TimePoint opened = bundle.opened;
  bundle.posted = parts_.stages.propose.Begin();
  Event event(std::move(bundle));
  if (mailbox_.TryPost(std::move(event), bytes)) {
    // Of a client's commands; the member's own come one by one and wait for nothing.
    if (opened != TimePoint{}) parts_.stages.admit.End(opened);
    return true;
  }
  bundle = std::move(std::get<ProposalBundle>(event));
  return false;
}

bool ThreadEnv::TryReadTickets(LoopId loop, uint64_t through) {
  return mailbox_.TryPost(Event(ReadTickets{loop, through}), sizeof(Event));
}

bool ThreadEnv::TryLease(LoopId loop, std::vector<LeaseRequest>& requests) {
  size_t bytes = requests.size() * sizeof(LeaseRequest);
  Event event(LeaseCalls{loop, std::move(requests)});
  if (mailbox_.TryPost(std::move(event), bytes)) return true;
  requests = std::move(std::get<LeaseCalls>(event).requests);
  return false;
}

// The limits of peers are their own: clients that fill the mailbox must not hold up heartbeats.
bool ThreadEnv::AdmitPeerMail(size_t bytes) {
  if (peer_mail_.items.load() < limits_.peer_mail.items_max &&
      peer_mail_.bytes.load() < limits_.peer_mail.bytes_max) {
    peer_mail_.items.fetch_add(1);
    peer_mail_.bytes.fetch_add(bytes);
    return true;
  }
  peer_dropped_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void ThreadEnv::ReleasePeerMail(size_t bytes) {
  peer_mail_.items.fetch_sub(1);
  peer_mail_.bytes.fetch_sub(bytes);
}

void ThreadEnv::OnPeerMessage(raft::Envelope envelope) {
  // Files come with OnSnapshot; a notice without them would have nothing to install.
  if (std::holds_alternative<raft::SnapshotNotice>(envelope.message)) return;
  size_t bytes = CostOf(envelope.message);
  if (AdmitPeerMail(bytes)) mailbox_.PostReserved(FromPeer{std::move(envelope), bytes});
}

void ThreadEnv::OnPeerOther(raft::NodeId from, PeerMessage message) {
  size_t bytes = CostOf(message);
  if (AdmitPeerMail(bytes)) mailbox_.PostReserved(PeerOther{from, std::move(message), bytes});
}

// Bounded by the transport: one for each loss of a connection or overflow of a queue.
void ThreadEnv::OnUnreachable(raft::NodeId peer) { mailbox_.PostReserved(Unreachable{peer}); }

// Bounded by the transport: what became of each snapshot that was ordered, and one received.
void ThreadEnv::OnSnapshot(SnapshotEvent event) { mailbox_.PostReserved(Event(std::move(event))); }

// Bounded by the transport, as the losses.
void ThreadEnv::OnConnection(raft::NodeId peer, bool up) {
  mailbox_.PostReserved(Connection{peer, up});
}

bool ThreadEnv::TryAdmin(AdminRequest& request) {
  Event event(std::move(request));
  if (mailbox_.TryPost(std::move(event), sizeof(Event))) return true;
  request = std::move(std::get<AdminRequest>(event));
  return false;
}

std::future<bool> ThreadEnv::HandOver() {
  LeaveOrder order;
  std::future<bool> done = order.done.get_future();
  mailbox_.PostReserved(Event(std::move(order)));  // one in a life
  return done;
}

bool ThreadEnv::TryRunOnApply(Action action) { return apply_.TryRun(std::move(action)); }

// Everything that arrived is fed to the replica before its output is taken: one persist unit, one
// message per peer and one hand-over to apply for the whole batch.
void ThreadEnv::Run() {
  std::vector<Event> events;
  TimePoint next_tick = Now() + limits_.tick;
  replica_->OnBoot();
  while (!mailbox_.closed()) {
    Flush();
    PublishGauges();
    (void)mailbox_.Wait(next_tick);
    events.clear();
    mailbox_.Drain(&events);
    turn_proposals_ = 0;
    for (Event& event : events) Dispatch(std::move(event));
    if (turn_proposals_ > 0) lone_.OnProposals(turn_proposals_);
    TimePoint now = Now();
    if (now < next_tick) continue;
    if (now >= next_tick + limits_.tick) OnLateTick(now - next_tick);
    if (leave_at_ && *leave_at_ <= now && parts_.removed) std::exchange(parts_.removed, nullptr)();
    replica_->OnTick(now);
    parts_.gauges.ticks.fetch_add(1, std::memory_order_relaxed);
    maintenance_.Tick(now);
    // After a pause of the process the missed ticks are not made up for: time passed for others as
    // well.
    next_tick = std::max(next_tick + limits_.tick, now + limits_.tick / 2);
  }
  replica_->OnStop();
}

void ThreadEnv::PublishGauges() {
  RaftGauges& gauges = parts_.gauges;
  gauges.Publish(replica_->position());
  gauges.proposals_waiting.store(replica_->waiting_proposals(), std::memory_order_relaxed);
  gauges.forwarded_bytes.store(replica_->forwarded_bytes(), std::memory_order_relaxed);
  gauges.slow_applies.store(apply_.slow_batches(), std::memory_order_relaxed);
  gauges.slow_reads.store(replica_->read_counts().slow, std::memory_order_relaxed);
  gauges.failed_reads.store(replica_->read_counts().failed, std::memory_order_relaxed);
}

void ThreadEnv::Flush() {
  replica_->Flush();
  // What this thread has persisted is told when the core's output, of which it was a part, has been
  // executed.
  while (persisted_here_) {
    Handle(Persisted{*std::exchange(persisted_here_, std::nullopt)});
    replica_->Flush();
  }
}

// On a disk that may be full it must not wait: reads and the member's end would wait with it.
bool ThreadEnv::MayWaitHere() const {
  return lone_.there() && mailbox_.items() == 0 &&
         parts_.gauges.disk_room.load(std::memory_order_relaxed) == DiskRoom::kEnough;
}

void ThreadEnv::Dispatch(Event event) {
  std::visit([this](auto& one) { Handle(one); }, event);
}

void ThreadEnv::Handle(ProposalBundle& bundle) {
  const TimePoint posted = bundle.posted;
  turn_proposals_ += bundle.proposals.size();
  replica_->OnProposals(std::move(bundle));
  parts_.stages.propose.End(posted);
}
void ThreadEnv::Handle(const ReadTickets& tickets) {
  lone_.OnOthers();
  replica_->OnReadTickets(tickets.loop, tickets.through);
}
void ThreadEnv::Handle(const LeaseCalls& calls) {
  lone_.OnOthers();
  replica_->OnLeaseRequests(calls.loop, calls.requests);
}
void ThreadEnv::Handle(AdminRequest& request) { replica_->OnAdmin(std::move(request)); }
void ThreadEnv::Handle(const Persisted& persisted) {
  durable_unit_ = persisted.unit;
  persisting_.EndThrough(persisted.unit, parts_.stages.persist);
  replica_->OnPersisted(persisted.unit);
}
void ThreadEnv::Handle(const apply::ApplyReport& report) {
  applying_.EndThrough(report.applied.value(), parts_.stages.apply);
  // Before the replica may speak to a member it has just learned of.
  if (report.members) OnMembers(report.members, report.removed);
  replica_->OnApplied(report);
}
void ThreadEnv::Handle(const Flushed& flushed) { replica_->OnFlushed(flushed.durable); }
void ThreadEnv::Handle(Fetched& fetched) {
  replica_->OnFetched(fetched.peer, fetched.from, std::move(fetched.entries));
}

void ThreadEnv::Handle(FromPeer& one) {
  ReleasePeerMail(one.bytes);
  replica_->OnPeerMessage(std::move(one.envelope));
}
void ThreadEnv::Handle(PeerOther& one) {
  ReleasePeerMail(one.bytes);
  replica_->OnPeerOther(one.from, one.message);
}
void ThreadEnv::Handle(const Connection& one) { replica_->OnPeerConnection(one.peer, one.up); }
void ThreadEnv::Handle(const Unreachable& one) { replica_->OnUnreachable(one.peer); }
void ThreadEnv::Handle(SnapshotEvent& event) {
  if (std::holds_alternative<SnapshotInstalled>(event)) {
    apply::StateRef state = parts_.machine.Read();
    OnMembers(state->members, state->removed);
  }
  replica_->OnSnapshot(std::move(event));
}

void ThreadEnv::Persist(raft::PersistUnit unit) {
  if (unit.must_sync) persisting_.Begin(unit.id, parts_.stages.persist);
  const bool idle = std::exchange(last_unit_, unit.id) == durable_unit_;
  if (!idle || !unit.release.empty() || !MayWaitHere()) return log_writer_.Submit(std::move(unit));
  if (log_writer_.AppendHere(unit)) persisted_here_ = unit.id;
}

void ThreadEnv::Apply(std::vector<raft::EntryPtr> entries) {
  applying_.Begin(entries.back()->index.value(), parts_.stages.apply);
  if (MayWaitHere() && apply_.TryApplyHere(&entries)) return;
  apply_.Post(std::move(entries));
}

void ThreadEnv::Send(raft::Envelope envelope) {
  lone_.OnOthers();
  SendNow(std::move(envelope));
}

void ThreadEnv::SendNow(raft::Envelope envelope) {
  CHECK(parts_.peers != nullptr, "a message to member {:x} of a member alone", envelope.to);
  parts_.peers->Send(std::move(envelope));
}

void ThreadEnv::SendPeer(raft::NodeId to, PeerMessage message) {
  CHECK(parts_.peers != nullptr, "a message to member {:x} of a member alone", to);
  parts_.peers->SendPeer(to, std::move(message));
}

void ThreadEnv::SendSnapshot(raft::SnapshotOrder order) {
  CHECK(parts_.snapshots != nullptr, "a snapshot for member {:x} of a member alone", order.peer);
  parts_.snapshots->SendSnapshot(order);
}

void ThreadEnv::CancelSnapshot(raft::NodeId peer) { parts_.snapshots->CancelSnapshot(peer); }

void ThreadEnv::InstallSnapshot(raft::SnapshotMeta meta) {
  apply_.Run([this, meta = std::move(meta)] {
    auto installed = installer_.Install(meta);
    if (!installed) return Fatal(installed.error().WithContext("install a snapshot"));
    parts_.log.Info("installed a snapshot", {{"snapshot-index", meta.index},
                                             {"snapshot-term", meta.term},
                                             {"revision", installed->current}});
    parts_.snapshots->ReleaseSnapshot(meta.index);
    mailbox_.PostReserved(Event(SnapshotEvent(std::move(*installed))));
  });
}

void ThreadEnv::DropSnapshot(const raft::SnapshotMeta& meta) {
  parts_.log.Info("a received snapshot is not needed", {{"snapshot-index", meta.index}});
  parts_.snapshots->ReleaseSnapshot(meta.index);
}

template <class Tell>
void ThreadEnv::PostTo(LoopId loop, Tell tell) {
  const Loop& target = loops_.at(loop.value());
  target.executor->Post([edge = target.edge, tell = std::move(tell)]() mutable { tell(*edge); });
}

void ThreadEnv::GrantReads(LoopId loop, uint64_t through) {
  PostTo(loop, [through](Edge& edge) { edge.OnReadsGranted(through); });
}

void ThreadEnv::FailReads(LoopId loop, uint64_t through, ErrorCode code) {
  PostTo(loop, [through, code](Edge& edge) { edge.OnReadsFailed(through, code); });
}

void ThreadEnv::FailProposals(LoopId loop, std::span<const apply::RequestId> ids, ErrorCode code) {
  PostTo(loop, [ids = std::vector(ids.begin(), ids.end()), code](Edge& edge) {
    edge.OnProposalsFailed(ids, code);
  });
}

void ThreadEnv::AnswerLeases(LoopId loop, std::span<const LeaseAnswer> answers) {
  PostTo(loop, [answers = std::vector(answers.begin(), answers.end())](Edge& edge) {
    edge.OnLeaseAnswers(answers);
  });
}

void ThreadEnv::AnswerAdmin(const apply::RequestId& id, ErrorCode code) {
  PostTo(id.loop, [id, code](Edge& edge) { edge.OnAdminAnswer(id, code); });
}

void ThreadEnv::OnMembers(const std::shared_ptr<const cluster::MemberList>& members,
                          const std::shared_ptr<const cluster::RemovedList>& removed) {
  std::shared_ptr<const cluster::MemberList> known =
      parts_.remotes.empty() ? members : WithRemotes(*members, *removed);
  // One that is not in the list, because it was not added yet or is removed, is no learner.
  auto own = std::find_if(known->begin(), known->end(),
                          [this](const cluster::Member& member) { return member.id == self_; });
  parts_.gauges.is_learner.store(own != known->end() && own->learner, std::memory_order_relaxed);
  if (!leave_at_ && std::find(removed->begin(), removed->end(), self_) != removed->end()) {
    leave_at_ = Now() + kLeaveAfter;
  }
  if (parts_.peers != nullptr) parts_.peers->SetMembers(std::move(known), removed);
}

// Of whom the state does not tell yet, a joiner itself among them, the members told that it joins.
std::shared_ptr<const cluster::MemberList> ThreadEnv::WithRemotes(
    const cluster::MemberList& members, const cluster::RemovedList& removed) const {
  std::map<raft::NodeId, cluster::Member> all;
  for (const cluster::Member& member : members) all.emplace(member.id, member);
  for (const cluster::Member& member : parts_.remotes) all.emplace(member.id, member);
  for (raft::NodeId gone : removed) all.erase(gone);
  auto list = std::make_shared<cluster::MemberList>();
  for (auto& [id, member] : all) list->push_back(std::move(member));
  return list;
}

void ThreadEnv::FetchLog(raft::Fetch fetch) {
  Action read = [this, fetch] {
    auto entries = parts_.log_store.Read(fetch.from, fetch.to, fetch.bytes_max);
    if (!entries) return Fatal(entries.error().WithContext("read the log back"));
    mailbox_.PostReserved(Fetched{fetch.peer, fetch.from, std::move(*entries)});
  };
  if (log_helper_.TrySubmit(kLogWork, std::move(read))) return;
  // The core waits for an answer; with this one it asks again later.
  mailbox_.PostReserved(Fetched{fetch.peer, fetch.from, {}});
}

void ThreadEnv::TruncateLog(raft::Index through, raft::Term term) {
  Action cut = [this, through, term] {
    if (Status status = parts_.log_store.TruncatePrefix(through, term); !status) {
      Fatal(status.error().WithContext("cut the log"));
    }
  };
  // Refused: the next cut covers this one.
  (void)log_helper_.TrySubmit(kLogWork, std::move(cut));
}

void ThreadEnv::Handle(LeaveOrder& order) {
  if (!replica_->OnLeave()) return order.done.set_value(false);
  leave_order_ = std::move(order);
}

// A tick of the leader is a heartbeat: followers wait for it.
void ThreadEnv::OnLateTick(Duration late) {
  if (!parts_.gauges.is_leader.load(std::memory_order_relaxed)) return;
  parts_.gauges.late_heartbeats.fetch_add(1, std::memory_order_relaxed);
  using std::chrono::milliseconds;
  parts_.log.Warn(
      "the leader's heartbeat is late; the machine or its disk is overloaded",
      {{"late-ms", std::chrono::duration_cast<milliseconds>(late).count()},
       {"heartbeat-ms", std::chrono::duration_cast<milliseconds>(limits_.tick).count()}});
}

void ThreadEnv::OnRole(const raft::RoleChange& change) {
  // In between nobody leads, and the one that takes over may need this member's vote.
  if (leave_order_ && change.leader != raft::NodeId(0) && change.leader != self_) {
    leave_order_->done.set_value(true);
    leave_order_.reset();
  }
  bool had_leader = parts_.gauges.leader.exchange(change.leader.value()) != 0;
  bool has_leader = change.leader != raft::NodeId(0);
  parts_.gauges.term.store(change.term.value());
  parts_.gauges.is_leader.store(change.role == raft::Role::kLeader);
  if (has_leader) parts_.gauges.no_leader_since_ns.store(0);
  if (had_leader && !has_leader) {
    parts_.gauges.no_leader_since_ns.store(Now().time_since_epoch().count());
  }
  if (has_leader) parts_.gauges.leader_changes.fetch_add(1);
  parts_.log.Info("raft role changed", {{"role", raft::Name(change.role)},
                                        {"leader", fmt::format("{:x}", change.leader)},
                                        {"term", change.term}});
}

MaintenanceHooks ThreadEnv::MakeMaintenanceHooks() {
  return {
      .fatal = [this](const Error& error) { Fatal(error); },
      .flushed = [this](raft::Index durable) { mailbox_.PostReserved(Event(Flushed{durable})); },
      .look_at_disk = std::move(parts_.look_at_disk)};
}

ApplySinks ThreadEnv::MakeApplySinks() {
  return {
      .events = [this](mvcc::EventBatchPtr events) { parts_.hub.Publish(std::move(events)); },
      .results =
          [this](std::vector<apply::LoopResults> results) {
            for (apply::LoopResults& loop : results) {
              PostTo(loop.loop, [results = std::move(loop.results), respond = parts_.stages.respond,
                                 began = parts_.stages.respond.Begin()](Edge& edge) mutable {
                edge.OnResults(std::move(results));
                respond.End(began);
              });
            }
          },
      .report =
          [this](apply::ApplyReport report) {
            maintenance_.OnApplied(report.applied, report.bytes);
            mailbox_.PostReserved(Event(std::move(report)));
          },
      .fatal = [this](const Error& error) { Fatal(error); },
  };
}

}  // namespace store::replica
