// SPDX-License-Identifier: Apache-2.0
// Random commands against a plain model; the same log in different batches; crashes at every point
// between flushes. Each test prints its seed and replays with SLUICE_SEED.
#include "store/mvcc/collector.h"
#include "tests/unit/apply/machine.h"
#include "tests/unit/apply/random_log.h"
#include "tests/unit/base/seed.h"

namespace store::apply {
namespace {

std::string LeasesOf(const StateMachine& state) {
  std::string text;
  for (const auto& [id, lease] : state.leases().leases()) {
    text += fmt::format("{}:", id);
    for (const std::string& key : lease.keys) text += " " + key;
    text += "\n";
  }
  return text;
}

std::string TraceOf(const etcdserverpb::TxnResponse& response) {
  std::string text = response.succeeded() ? "then" : "else";
  for (const auto& op : response.responses()) {
    if (op.has_response_put()) text += " put";
    if (op.has_response_delete_range()) {
      text += fmt::format(" -{}", op.response_delete_range().deleted());
    }
    if (!op.has_response_range()) continue;
    const auto& kvs = op.response_range().kvs();
    text += kvs.empty() ? " absent" : " " + kvs[0].value();
  }
  return text;
}

std::string KeysAt(StateMachine& state, int64_t revision) {
  mvcc::RangeQuery query;
  query.range = {{}, {}, true};
  query.at = Revision(revision);
  auto range = state.Read().view().Range(query);
  if (!range) return range.error().ToString();
  std::string text;
  for (const mvcc::KeyValue& kv : range->kvs) {
    text += fmt::format("{}{}={}@{}/{}/{}/{}", text.empty() ? "" : " ", kv.key.view(),
                        kv.value.view(), kv.create, kv.mod, kv.version, kv.lease);
  }
  return text;
}

std::vector<raft::EntryPtr> RandomLog(Random& random, size_t size) {
  CommandMaker make;
  std::vector<raft::EntryPtr> log;
  for (uint64_t index = 1; index <= size; ++index) {
    bool noop = random.Chance(0.02);
    log.push_back(noop ? MakeEntry(index, "", raft::EntryKind::kNoop)
                       : MakeEntry(index, make(RandomCommand(random))));
  }
  return log;
}

TEST(ModelTest, EveryCommandDoesWhatTheModelSays) {
  Random random = SeededRandom("EveryCommandDoesWhatTheModelSays");
  Machine machine;
  Model model;
  size_t refused = 0;
  for (int step = 0; step < 3000; ++step) {
    Command command = RandomCommand(random);
    SCOPED_TRACE(fmt::format("step {}: {}", step, command.ShortDebugString()));
    ErrorCode expected = model.Do(command);
    CallResult result = machine.Do(command);
    ASSERT_EQ(result.error, expected);
    ASSERT_EQ(result.revision.value(), model.revision());
    if (expected != ErrorCode::kOk) ++refused;
    if (expected == ErrorCode::kOk && command.has_txn()) {
      ASSERT_EQ(TraceOf(As<etcdserverpb::TxnResponse>(result)), model.txn_trace());
    }
    ASSERT_EQ(machine.Keys(), model.Keys());
    ASSERT_EQ(LeasesOf(machine.state()), model.Leases());
    ASSERT_EQ(machine.state().Read()->compacted.value(), model.compacted());
  }
  EXPECT_GT(refused, 50U);
  for (int64_t at = std::max<int64_t>(1, model.compacted()); at <= model.revision(); at += 17) {
    ASSERT_EQ(KeysAt(machine.state(), at), model.KeysAt(at)) << "at revision " << at;
  }
}

TEST(ModelTest, BatchesMakeNoDifference) {
  Random random = SeededRandom("BatchesMakeNoDifference");
  std::vector<raft::EntryPtr> log = RandomLog(random, 1500);
  std::vector<std::string> results;
  std::map<std::string, std::string> rows;
  for (size_t batch : {1, 7, 100, 1000}) {
    ApplyLimits limits;
    limits.batch_entries_max = batch;
    Machine machine(limits);
    std::vector<std::string> these = machine.Feed(log);
    EXPECT_GE(machine.batches(), log.size() / batch);
    if (results.empty()) {
      results = these;
      rows = DumpOf(machine.engine());
      continue;
    }
    ASSERT_EQ(these, results) << "in batches of " << batch;
    ASSERT_EQ(DumpOf(machine.engine()), rows) << "in batches of " << batch;
  }
}

TEST(ModelTest, AMemberThatAnswersNobodyHasTheSameState) {
  Random random = SeededRandom("AMemberThatAnswersNobodyHasTheSameState");
  std::vector<raft::EntryPtr> log = RandomLog(random, 500);
  Machine answers;
  EXPECT_FALSE(answers.Feed(log).empty());
  std::vector<raft::EntryPtr> of_another;
  for (const raft::EntryPtr& entry : log) {
    Command command;
    std::string data;
    if (entry->kind == raft::EntryKind::kCommand) {
      ASSERT_TRUE(DecodeCommand(entry->data, &command));
      data = EncodeCommand({kSelf, kNonce - 1, LoopId(0), command.header().counter()}, command);
    }
    of_another.push_back(MakeEntry(entry->index.value(), data, entry->kind));
  }
  Machine silent;
  EXPECT_TRUE(silent.Feed(of_another).empty());
  EXPECT_EQ(DumpOf(silent.engine()), DumpOf(answers.engine()));
}

TEST(ModelTest, ACrashAnywhereEndsInTheSameStateEtcd13766) {
  Random random = SeededRandom("ACrashAnywhereEndsInTheSameState");
  std::vector<raft::EntryPtr> log = RandomLog(random, 300);
  Machine whole;
  whole.Feed(log);
  auto rows = DumpOf(whole.engine());
  for (size_t flushed = 0; flushed <= log.size(); flushed += 1 + random.Below(12)) {
    // Given a crash some entries after a flush,
    size_t lost = std::min(log.size(), flushed + random.Below(40));
    Machine machine;
    machine.Feed({log.data(), flushed});
    ASSERT_TRUE(machine.engine().Flush());
    machine.Feed({log.data(), lost});
    // then the member goes on where the flush was, and replay gives the same rows and tables.
    Machine crashed = machine.Crashed();
    ASSERT_EQ(crashed.applied(), flushed);
    crashed.Feed(log);
    ASSERT_EQ(DumpOf(crashed.engine()), rows) << "flush at " << flushed << ", crash at " << lost;
    ASSERT_EQ(crashed.Keys(), whole.Keys());
    ASSERT_EQ(LeasesOf(crashed.state()), LeasesOf(whole.state()));
  }
}

TEST(ModelTest, CollectionChangesNoAnswer) {
  Random random = SeededRandom("CollectionChangesNoAnswer");
  Machine machine;
  Model model;
  mvcc::Collector collector(machine.state().mvcc());
  for (int step = 0; step < 1500; ++step) {
    Command command = RandomCommand(random);
    ASSERT_EQ(machine.Do(command).error, model.Do(command)) << command.ShortDebugString();
    ASSERT_EQ(machine.Keys(), model.Keys());
    if (!random.Chance(0.2)) continue;
    auto collected = collector.Step(TimePoint());
    ASSERT_TRUE(collected) << collected.error().ToString();
    machine.state().mvcc().Trim(collected->trim);
  }
  Machine restarted = machine.Restarted();
  EXPECT_EQ(restarted.Keys(), model.Keys());
  EXPECT_EQ(LeasesOf(restarted.state()), model.Leases());
  EXPECT_EQ(restarted.state().Read()->current.value(), model.revision());
}

}  // namespace
}  // namespace store::apply
