// SPDX-License-Identifier: Apache-2.0
// What must not come before what: answers before what they rest on, newer before older, the log's
// end before the state that replaces it.
#include "store/replica/apply_worker.h"
#include "store/replica/reads.h"
#include "tests/unit/apply/machine.h"
#include "tests/unit/replica/fake_env.h"

#include <gtest/gtest.h>

#include <memory>

namespace store::replica {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A follower of member 2.
std::unique_ptr<raft::Raft> Follower() {
  raft::Config config;
  config.id = raft::NodeId(1);
  raft::Restart restart;
  restart.conf.voters = {raft::NodeId(1), raft::NodeId(2)};
  auto raft = std::make_unique<raft::Raft>(config, std::move(restart));
  raft->Step({raft::NodeId(2), raft::NodeId(1), raft::Heartbeat{raft::Term(1), {}, {}}});
  raft->OnPersisted(raft->TakeOutput().persist->id);
  return raft;
}

std::vector<raft::ReadId> AskedFor(raft::Raft& raft) {
  std::vector<raft::ReadId> batches;
  for (const raft::Envelope& envelope : raft.TakeOutput().send) {
    if (const auto* request = std::get_if<raft::ReadRequest>(&envelope.message)) {
      batches.push_back(request->batch);
    }
  }
  return batches;
}

TEST(Reads, ARetriedReadHasANewNumberEtcd20418) {
  FakeEnv env;
  const std::unique_ptr<raft::Raft> follower = Follower();
  raft::Raft& raft = *follower;
  Reads reads(milliseconds(500), env);
  reads.OnApplied(raft::Index(9));
  reads.Join(LoopId(0), 5, raft);
  const auto first = AskedFor(raft);
  ASSERT_EQ(first.size(), 1u);
  env.now += seconds(1);
  reads.Retry(raft);
  const auto second = AskedFor(raft);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_GT(second[0], first[0]);
  EXPECT_EQ(reads.counts().slow, 1u);

  // The answer to the first question was on its way while this process was paused.
  reads.OnGrant({first[0], raft::Index(3)});
  EXPECT_TRUE(env.reads.empty());
  reads.OnGrant({second[0], raft::Index(4)});
  ASSERT_EQ(env.reads.size(), 1u);
  EXPECT_EQ(env.reads[0].code, ErrorCode::kOk);
  EXPECT_EQ(reads.counts().failed, 0u);
}

TEST(Reads, AReadWhoseLeaderIsGoneFailsAndCounts) {
  FakeEnv env;
  const std::unique_ptr<raft::Raft> follower = Follower();
  Reads reads(milliseconds(500), env);
  reads.Join(LoopId(0), 5, *follower);
  const auto asked = AskedFor(*follower);
  ASSERT_EQ(asked.size(), 1u);
  reads.OnFailed(raft::ReadId(asked[0]));
  ASSERT_EQ(env.reads.size(), 1u);
  EXPECT_EQ(env.reads[0].code, ErrorCode::kLeaderChanged);
  EXPECT_EQ(reads.counts().failed, 1u);
  EXPECT_EQ(reads.counts().slow, 0u);
}

TEST(Replica, ALeaseIsJudgedByAStateThatHasItsGrant) {
  OneMember member;
  member.Settle();
  member.Propose(1, "grant");
  member.Persisted();
  // Committed, not applied yet: to say "not found" now would be wrong.
  LeaseRequest request{LeaseRequest::Kind::kKeepAlive, 9, LeaseId(77), member.env.now};
  member.replica().OnLeaseRequests(LoopId(0), {&request, 1});
  member.replica().Flush();
  EXPECT_TRUE(member.env.answers.empty());
  member.Applied({{apply::LeaseChange::Kind::kGranted, LeaseId(77), 5, 0}});
  ASSERT_EQ(member.env.answers.size(), 1u);
  EXPECT_EQ(member.env.answers[0].error, ErrorCode::kOk);
}

TEST(Replica, ANewLeaderGivesEveryLeaseItsTimeAndAnElectionTimeout) {
  ReplicaConfig config;
  config.raft.id = raft::NodeId(1);
  config.election_timeout = seconds(2);
  Boot boot;
  boot.raft.conf.voters = {raft::NodeId(1)};
  boot.leases = {{LeaseId(77), 5, 0}};
  FakeEnv env;
  Replica replica(config, env, std::move(boot));
  replica.OnBoot();
  replica.Flush();
  auto settle = [&] {
    for (int i = 0; i < 5; ++i) {
      if (!env.units.empty()) replica.OnPersisted(env.units.back().id);
      env.units.clear();
      replica.Flush();
      if (env.to_apply.empty()) continue;
      apply::ApplyReport report;
      report.applied = report.durable = env.to_apply.back()->index;
      replica.OnApplied(report);
      replica.Flush();
    }
  };
  settle();
  const size_t before = env.to_apply.size();
  env.now += milliseconds(6500);
  replica.OnTick(env.now);
  replica.Flush();
  settle();
  EXPECT_EQ(env.to_apply.size(), before) << "its holder may have renewed it with the former leader";
  env.now += seconds(1);
  replica.OnTick(env.now);
  replica.Flush();
  settle();
  EXPECT_EQ(env.to_apply.size(), before + 1);
}

// Seed 373 of simrun: the lease was kept alive with the former leader, which had its checkpoint
// cleared; here the clearing is committed and not applied yet, and the checkpoint tells of too
// little time.
TEST(Replica, ANewLeaderEndsNoLeaseBeforeItHasAppliedWhatItBeganWith) {
  ReplicaConfig config;
  config.raft.id = raft::NodeId(1);
  config.election_timeout = seconds(2);
  Boot boot;
  boot.raft.conf.voters = {raft::NodeId(1)};
  boot.raft.hard_state = {raft::Term(1), raft::NodeId(), raft::Index(1)};
  boot.raft.runs = {{raft::Index(1), raft::Term(1)}};
  boot.raft.tail = {std::make_shared<const raft::Entry>(
      raft::Entry{raft::Term(1), raft::Index(1), raft::EntryKind::kCommand, "the clearing"})};
  boot.leases = {{LeaseId(77), 5, 1}};
  FakeEnv env;
  Replica replica(config, env, std::move(boot));
  auto flush = [&] {
    for (int i = 0; i < 5; ++i) {
      replica.Flush();
      if (!env.units.empty()) replica.OnPersisted(env.units.back().id);
      env.units.clear();
    }
  };
  auto tick = [&](Duration step) {
    env.now += step;
    replica.OnTick(env.now);
    flush();
  };
  replica.OnBoot();
  flush();
  const raft::Index began = replica.position().last;
  tick(seconds(4));
  EXPECT_EQ(replica.position().last, began) << "by the checkpoint it is over";
  apply::ApplyReport report;
  report.applied = began;
  report.leases = {{apply::LeaseChange::Kind::kCheckpointed, LeaseId(77), 0, 0}};
  replica.OnApplied(report);
  tick(milliseconds(6500));
  EXPECT_EQ(replica.position().last, began);
  tick(seconds(1));
  EXPECT_EQ(replica.position().last, began + 1) << "an election timeout and its whole time later";
}

TEST(Replica, ANewerBundleNeverOvertakesOneThatWaits) {
  ReplicaConfig config;
  config.raft.uncommitted_bytes_max = 1000;
  OneMember member(config);
  member.Settle();
  member.Propose(1, std::string(600, 'a'));
  member.Propose(2, std::string(600, 'b'));  // does not fit before the first is committed
  member.Propose(3, "c");                    // would
  EXPECT_EQ(member.replica().waiting_proposals(), 2u);
  member.Settle();
  ASSERT_GE(member.applied.size(), 3u);
  std::string order;
  for (const auto& entry : member.applied) {
    if (!entry->data.empty()) order += entry->data[0];
  }
  EXPECT_EQ(order, "abc");
}

TEST(Replica, TheLogIsNeverCutBehindTheDurableState) {
  ReplicaConfig config;
  config.retention = {.entries = 10, .bytes = 1 << 30, .step_entries = 1};
  OneMember member(config);
  member.Settle();
  const raft::Index durable = member.applied.back()->index;
  for (uint64_t i = 1; i <= 100; ++i) {
    member.Propose(i, "x");
    member.Persisted();
    apply::ApplyReport report;
    report.applied = member.env.to_apply.back()->index;
    report.durable = durable;
    member.env.to_apply.clear();
    member.replica().OnApplied(report);
    member.replica().Flush();
  }
  EXPECT_LE(member.env.truncated, durable);
}

TEST(ApplyWorker, EventsAreWithTheHubBeforeAnybodyIsAnswered) {
  auto engine = std::make_shared<engine::MemEngine>();
  apply::StateMachine machine({}, {raft::NodeId(apply::kSelf), apply::kNonce}, engine);
  ASSERT_TRUE(machine.Bootstrap(apply::OneMember()));
  Mutex mutex;
  CondVar changed;
  std::vector<std::string> told;
  auto tell = [&](const char* what) {
    MutexLock lock(mutex);
    told.emplace_back(what);
    changed.NotifyAll();
  };
  SystemClock clock;
  ApplyWorker worker({}, machine,
                     {.events = [&](const mvcc::EventBatchPtr&) { tell("events"); },
                      .results = [&](const std::vector<apply::LoopResults>&) { tell("results"); },
                      .report = [&](const apply::ApplyReport&) { tell("report"); },
                      .fatal = [&](const Error& error) { tell(error.ToString().c_str()); }},
                     clock, Logger());
  worker.Start();
  apply::CommandMaker make;
  apply::Command put;
  put.mutable_put()->set_key("k");
  worker.Post({apply::MakeEntry(1, make(put))});
  {
    MutexLock lock(mutex);
    while (told.size() < 3) changed.Wait(mutex);
  }
  worker.Stop();
  EXPECT_EQ(told, (std::vector<std::string>{"events", "results", "report"}));
}

}  // namespace
}  // namespace store::replica
