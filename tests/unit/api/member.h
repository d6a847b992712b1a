// SPDX-License-Identifier: Apache-2.0
// A member without threads and network for tests of the services: a manual executor in virtual
// time, fake calls that keep what a handler sent, and a door to the replica that applies what it is
// given to a real StateMachine on a MemEngine when the test says so.
#pragma once

#include "store/api/pending_calls.h"
#include "store/api/service_context.h"
#include "store/apply/state_machine.h"
#include "store/base/worker_pool.h"
#include "store/engine/mem_engine.h"
#include "store/raft/conf_change.h"
#include "store/rpc/call.h"
#include "tests/support/held_input.h"

#include <etcd/rpc.pb.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace store::api {

class ManualExecutor final : public Executor {
 public:
  void Post(Action action) override {
    MutexLock lock(mutex_);
    posted_.push_back(std::move(action));
    arrived_.NotifyAll();
  }
  TimerId After(Duration delay, Action action) override {
    TimerId id = next_timer_++;
    timers_.emplace(std::pair(now_ + delay, id), std::move(action));
    return id;
  }
  void Cancel(TimerId timer) override {
    std::erase_if(timers_, [timer](const auto& row) { return row.first.second == timer; });
  }
  TimePoint Now() const override { return now_; }

  // Runs what was posted, and what that posts.
  void Run() {
    while (auto action = Next()) action();
  }
  // Moves time on, timers in order.
  void Advance(Duration by) {
    TimePoint end = now_ + by;
    Run();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      now_ = std::max(now_, timers_.begin()->first.first);
      Action action = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      action();
      Run();
    }
    now_ = end;
  }
  // Blocks until another thread has posted something, then runs it.
  void WaitAndRun() {
    {
      MutexLock lock(mutex_);
      TimePoint deadline = SystemClock().Now() + std::chrono::seconds(10);
      while (posted_.empty() && arrived_.WaitUntil(mutex_, deadline)) {
      }
      ASSERT_FALSE(posted_.empty()) << "nothing was posted within ten seconds";
    }
    Run();
  }

 private:
  Action Next() {
    MutexLock lock(mutex_);
    if (posted_.empty()) return nullptr;
    Action action = std::move(posted_.front());
    posted_.pop_front();
    return action;
  }

  Mutex mutex_;
  CondVar arrived_;
  std::deque<Action> posted_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<TimePoint, TimerId>, Action> timers_;
  TimerId next_timer_ = 1;
  TimePoint now_{std::chrono::seconds(1000)};
};

class FakeCall final : public rpc::RawCall {
 public:
  explicit FakeCall(rpc::CallInfo info) : info_(std::move(info)) {}

  const rpc::CallInfo& info() const override { return info_; }
  bool Send(rpc::MessageBody message) override {
    if (done_) return true;
    std::string bytes;
    for (const SharedBytes& part : message.parts()) bytes.append(part.view());
    sent.push_back(std::move(bytes));
    return !blocked;
  }
  void Finish(rpc::RpcStatus ended) override {
    if (done_) return;
    status = std::move(ended);
    finished = true;
    End();
  }
  bool done() const override { return done_; }
  void OnMessage(absl::AnyInvocable<void(SharedBytes)> action) override {
    input_.OnMessage(std::move(action));
  }
  void HoldInput(bool held) override {
    if (input_.Hold(held)) info_.executor->Post([this] { input_.Deliver(); });
  }
  void OnHalfClose(Action action) override { input_.OnHalfClose(std::move(action)); }
  void OnCancel(Action action) override {
    if (!done_) on_cancel_ = std::move(action);
  }
  void OnDrained(Action action) override {
    if (!done_) on_drained_ = std::move(action);
  }
  void OnStop(Action action) override {
    if (!done_) on_stop_ = std::move(action);
  }

  // The client's side.
  template <class M>
  void Receive(const M& message) {
    ReceiveBytes(message.SerializeAsString());
  }
  void ReceiveBytes(std::string bytes) { input_.Arrive(std::move(bytes)); }
  // Sent by the client, not yet given to the handler, which holds its input.
  size_t held() const { return input_.waiting(); }
  void HalfClose() { input_.HalfClose(); }
  // The adapter goes: callbacks are dropped, nobody is told.
  void Abandon() { End(); }
  void CancelByClient() {
    Action action = std::exchange(on_cancel_, nullptr);
    End();
    if (action) action();
  }
  void Drain() {
    blocked = false;
    if (on_drained_) on_drained_();
  }
  // The server stops.
  void Stop() {
    if (Action action = std::exchange(on_stop_, nullptr)) action();
  }
  template <class M>
  M Message(size_t at) const {
    M message;
    EXPECT_LT(at, sent.size());
    if (at < sent.size()) {
      EXPECT_TRUE(message.ParseFromString(sent[at]));
    }
    return message;
  }

  std::vector<std::string> sent;
  rpc::RpcStatus status;
  bool finished = false;
  bool blocked = false;

 private:
  void End() {
    done_ = true;
    input_.End();
    on_cancel_ = nullptr;
    on_drained_ = nullptr;
    on_stop_ = nullptr;
  }

  rpc::CallInfo info_;
  bool done_ = false;
  rpc::test::HeldInput input_;
  Action on_cancel_;
  Action on_drained_;
  Action on_stop_;
};
using FakeCallPtr = std::shared_ptr<FakeCall>;

// Keeps what it is given; Pump of the member answers.
class FakeDoor final : public replica::ReplicaDoor {
 public:
  bool TryPropose(replica::ProposalBundle& bundle) override {
    if (refuse) return false;
    bundles.push_back(std::move(bundle));
    return true;
  }
  bool TryReadTickets(LoopId, uint64_t through) override {
    if (refuse) return false;
    tickets.push_back(through);
    return true;
  }
  bool TryLease(LoopId, std::vector<replica::LeaseRequest>& requests) override {
    if (refuse) return false;
    for (const replica::LeaseRequest& request : requests) leases.push_back(request);
    requests.clear();
    return true;
  }
  bool TryAdmin(replica::AdminRequest& request) override {
    if (refuse) return false;
    admin.push_back(std::move(request));
    return true;
  }
  bool TryRunOnApply(Action action) override {
    if (refuse) return false;
    on_apply.push_back(std::move(action));
    return true;
  }

  bool refuse = false;
  std::vector<replica::ProposalBundle> bundles;
  std::vector<uint64_t> tickets;
  std::vector<replica::LeaseRequest> leases;
  std::vector<Action> on_apply;
  std::vector<replica::AdminRequest> admin;
};

inline constexpr uint64_t kMember = 0x8e9e05c52164694d;
inline constexpr uint64_t kCluster = 0xcdf818194e3a8c32;
inline constexpr uint64_t kTerm = 7;

struct MemberOptions {
  int64_t quota_bytes = 2LL << 30;
  PendingOptions pending;
  size_t calls_max = 20'000;
  std::shared_ptr<engine::Engine> engine = std::make_shared<engine::MemEngine>();
};

class Member {
 public:
  explicit Member(const MemberOptions& options = {})
      : budget(options.calls_max),
        engine(options.engine),
        machine(Limits(options), apply::ApplySelf{raft::NodeId(kMember), 99}, engine),
        pool("range", 1, {{"range", 1, 100}}),
        pending(Pending(options), door, executor, budget, gauges) {
    cluster::Member self;
    self.id = raft::NodeId(kMember);
    self.name = "default";
    self.peer_urls = {"http://localhost:2380"};
    self.client_urls = {"http://localhost:2379"};
    raft::ConfState conf;
    conf.voters = {raft::NodeId(kMember)};
    EXPECT_TRUE(machine.Bootstrap({{}, {}, {self}, conf}));
    gauges.term = kTerm;
    gauges.leader = kMember;
    pool.Start();
    ServiceLimits limits;
    limits.quota_bytes = options.quota_bytes;
    context = std::make_unique<ServiceContext>(ServiceContext{
        HeaderSource({ClusterId(kCluster), kMember}, gauges),
        gauges,
        machine,
        door,
        [this](Action&& action) { return pool.TrySubmit(WorkClass(0), std::move(action)); },
        limits,
        {&pending},
        &unsent_bytes,
        &gate,
        &disk_allowance});
  }
  // Calls that a test left open would live for ever: their callbacks hold them (store/rpc/call.h).
  ~Member() {
    pool.Stop();
    for (const auto& started : started_) {
      if (FakeCallPtr call = started.lock()) call->Abandon();
    }
  }

  // A call as the transport starts it: a unary one with its message.
  FakeCallPtr Start(std::string_view path, rpc::Metadata metadata = {}) {
    const rpc::Method* method = table.Find(path);
    EXPECT_NE(method, nullptr) << path;
    rpc::CallInfo info;
    info.method = method->path;
    info.metadata = std::move(metadata);
    info.executor = &executor;
    auto call = std::make_shared<FakeCall>(std::move(info));
    started_.push_back(call);
    return call;
  }
  template <class M>
  FakeCallPtr Unary(std::string_view path, const M& request) {
    FakeCallPtr call = Start(path);
    table.Find(path)->start(call, SharedBytes::Of(request.SerializeAsString()));
    return call;
  }
  FakeCallPtr Stream(std::string_view path, rpc::Metadata metadata = {}) {
    FakeCallPtr call = Start(path, std::move(metadata));
    table.Find(path)->start(call, {});
    return call;
  }
  // Sends a request and plays replica and apply until it is answered.
  template <class M>
  FakeCallPtr Do(std::string_view path, const M& request) {
    FakeCallPtr call = Unary(path, request);
    Pump();
    return call;
  }

  // What the replica does with everything it was given: grant, commit, apply, answer.
  void Pump() {
    executor.Run();
    while (!door.bundles.empty() || !door.tickets.empty() || !door.on_apply.empty()) {
      ApplyBundles();
      for (uint64_t through : std::exchange(door.tickets, {})) pending.OnReadsGranted(through);
      for (Action& action : std::exchange(door.on_apply, {})) action();
      executor.Run();
    }
  }
  // Commits the membership changes that wait at the door; others stay there.
  void ApplyChanges() {
    executor.Run();
    for (replica::AdminRequest& request : std::exchange(door.admin, {})) {
      auto* change = std::get_if<replica::MemberChange>(&request.what);
      if (change == nullptr) {
        door.admin.push_back(std::move(request));
        continue;
      }
      ApplyEntry(raft::EntryKind::kConfChange, raft::EncodeConfChange(change->change));
    }
  }
  void ApplyBundles() {
    for (replica::ProposalBundle& bundle : std::exchange(door.bundles, {})) {
      std::vector<raft::EntryPtr> entries;
      for (replica::Proposal& proposal : bundle.proposals) {
        auto entry = std::make_shared<raft::Entry>();
        entry->term = raft::Term(kTerm);
        entry->index = raft::Index(++index);
        entry->kind = raft::EntryKind::kCommand;
        entry->data = std::move(proposal.command);
        entries.push_back(std::move(entry));
      }
      Apply(entries);
    }
  }
  void ApplyEntry(raft::EntryKind kind, std::string data) {
    std::vector<raft::EntryPtr> entries = {std::make_shared<raft::Entry>(
        raft::Entry{raft::Term(kTerm), raft::Index(++index), kind, std::move(data)})};
    Apply(entries);
  }
  void Apply(std::span<const raft::EntryPtr> entries) {
    while (!entries.empty()) {
      size_t taken = 0;
      auto outcome = machine.Apply(entries, &taken);
      ASSERT_TRUE(outcome) << outcome.error().ToString();
      entries = entries.subspan(taken);
      if (on_events) on_events(outcome->events);
      for (apply::LoopResults& loop : outcome->results) pending.OnResults(std::move(loop.results));
    }
  }

  ManualExecutor executor;
  FakeDoor door;
  replica::RaftGauges gauges;
  Registry registry;
  Gate gate{gauges, registry};
  CallBudget budget;
  std::shared_ptr<engine::Engine> engine;
  apply::StateMachine machine;
  WorkerPool pool;
  PendingCalls pending;
  rpc::MethodTable table;
  std::unique_ptr<ServiceContext> context;
  replica::DiskAllowance disk_allowance;
  std::atomic<int64_t> unsent_bytes = 0;  // as the transport counts them
  uint64_t index = 0;
  absl::AnyInvocable<void(mvcc::EventBatchPtr)> on_events;

 private:
  static apply::ApplyLimits Limits(const MemberOptions& options) {
    apply::ApplyLimits limits;
    limits.quota_bytes = options.quota_bytes;
    return limits;
  }
  static PendingOptions Pending(const MemberOptions& options) {
    PendingOptions pending = options.pending;
    pending.member = kMember;
    pending.boot_nonce = 99;
    return pending;
  }

  std::vector<std::weak_ptr<FakeCall>> started_;
};

inline void ExpectStatus(const FakeCallPtr& call, rpc::GrpcCode code, std::string_view text) {
  ASSERT_TRUE(call->finished);
  EXPECT_EQ(call->status.code, code);
  EXPECT_EQ(call->status.message, text);
  if (code != rpc::GrpcCode::kOk) {
    EXPECT_TRUE(call->sent.empty());
  }
}

inline void ExpectHeader(const etcdserverpb::ResponseHeader& header, int64_t revision) {
  EXPECT_EQ(header.cluster_id(), kCluster);
  EXPECT_EQ(header.member_id(), kMember);
  EXPECT_EQ(header.raft_term(), kTerm);
  EXPECT_EQ(header.revision(), revision);
}

}  // namespace store::api
