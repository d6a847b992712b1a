// SPDX-License-Identifier: Apache-2.0
// The batch loop: who gets results, batches and their bounds, the applied row, crashes and a full
// disk.
#include "store/apply/state_machine.h"

#include "tests/unit/apply/machine.h"

namespace store::apply {
namespace {

TEST(BatchTest, ResultsGoToTheOwnCallsOfThisLifeOnly) {
  Machine machine;
  Command put = PutOf("k", "v");
  const RequestId ids[] = {
      {kSelf, kNonce, LoopId(1), 10},     {kSelf + 1, kNonce, LoopId(0), 11},
      {kSelf, kNonce - 1, LoopId(0), 12}, {kSelf, kNonce, LoopId(0), 0},
      {kSelf, kNonce, LoopId(0), 13},     {kSelf, kNonce, LoopId(1), 14},
  };
  std::vector<raft::EntryPtr> log;
  for (const RequestId& id : ids) log.push_back(MakeEntry(log.size() + 1, EncodeCommand(id, put)));
  size_t taken = 0;
  auto outcome = machine.state().Apply(log, &taken);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->report.current, Revision(7)) << "all were applied";
  ASSERT_EQ(outcome->results.size(), 2U);
  EXPECT_EQ(outcome->results[0].loop, LoopId(1));
  ASSERT_EQ(outcome->results[0].results.size(), 2U);
  EXPECT_EQ(outcome->results[0].results[0].counter, 10U);
  EXPECT_EQ(outcome->results[0].results[1].counter, 14U);
  EXPECT_EQ(outcome->results[0].results[1].revision, Revision(7));
  ASSERT_EQ(outcome->results[1].results.size(), 1U);
  EXPECT_EQ(outcome->results[1].results[0].counter, 13U);
}

TEST(BatchTest, IsBoundedByEntriesAndBytesButTakesOneAlways) {
  ApplyLimits limits;
  limits.batch_entries_max = 3;
  limits.batch_bytes_max = 1000;
  Machine machine(limits);
  std::vector<raft::EntryPtr> log;
  for (size_t value_size : {10, 10, 10, 10, 600, 600, 5000, 10}) {
    log.push_back(
        MakeEntry(log.size() + 1, machine.make()(PutOf("k", std::string(value_size, 'x')))));
  }
  std::vector<size_t> sizes;
  std::span<const raft::EntryPtr> rest = log;
  while (!rest.empty()) {
    size_t taken = 0;
    ASSERT_TRUE(machine.state().Apply(rest, &taken));
    sizes.push_back(taken);
    rest = rest.subspan(taken);
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{3, 2, 1, 1, 1}));
}

TEST(BatchTest, ANoopMovesTheAppliedRowOnly) {
  Machine machine;
  std::vector<raft::EntryPtr> log = {MakeEntry(1, "", raft::EntryKind::kNoop, 7)};
  machine.Feed(log);
  EXPECT_EQ(machine.last().report.applied, raft::Index(1));
  EXPECT_TRUE(machine.last().results.empty());
  EXPECT_TRUE(machine.last().events->events.empty());
  EXPECT_EQ(machine.last().events->last, Revision(1));
  StateRef ref = machine.state().Read();
  EXPECT_EQ(ref->applied, raft::Index(1));
  EXPECT_EQ(ref->applied_term, raft::Term(7));
  auto row = StateMachine::ReadApplied(machine.engine(), engine::Tier::kAll);
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->term, raft::Term(7));
  EXPECT_EQ((*row)->conf, OneMember().conf);
}

TEST(BatchTest, EntriesThatWereAppliedAreSkipped) {
  Machine machine;
  std::vector<raft::EntryPtr> log;
  for (uint64_t i = 1; i <= 3; ++i) log.push_back(MakeEntry(i, machine.make()(PutOf("k", "v"))));
  machine.Feed({log.data(), 2});
  EXPECT_EQ(machine.Feed(log).size(), 1U);
  EXPECT_EQ(machine.Keys(), "k=v@2/4/3/0");
  EXPECT_TRUE(machine.Feed(log).empty());
}

TEST(BatchTest, AnEntryThatCannotBeReadStopsTheMemberBeforeAnythingIsWritten) {
  Machine machine;
  auto before = DumpOf(machine.engine());
  std::vector<raft::EntryPtr> log = {MakeEntry(1, machine.make()(PutOf("k", "v"))),
                                     MakeEntry(2, "\xff\xff")};
  size_t taken = 0;
  auto outcome = machine.state().Apply(log, &taken);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kCorruption);
  EXPECT_NE(outcome.error().message().find("log index 2"), std::string::npos);
  EXPECT_EQ(DumpOf(machine.engine()), before);
}

TEST(BatchTest, AViewKeepsItsMoment) {
  Machine machine;
  machine.Do(PutOf("k", "1"));
  StateRef before = machine.state().Read();
  for (int i = 0; i < 10; ++i) machine.Do(PutOf("k", "2"));
  EXPECT_EQ(before->current, Revision(2));
  EXPECT_EQ(before->applied, raft::Index(1));
  EXPECT_EQ(before.view().current(), Revision(2));
  EXPECT_EQ(before.view().Lookup("k")->version, 1);
  EXPECT_EQ(machine.state().Read()->current, Revision(12));
  EXPECT_GT(machine.state().Read()->logical_bytes, before->logical_bytes);
}

TEST(FullDiskTest, TheBatchIsKeptAndOfferedAgain) {
  Machine machine;
  machine.Do(PutOf("k", "1"));
  machine.engine().SetFull(true);
  std::vector<raft::EntryPtr> log = {MakeEntry(2, machine.make()(PutOf("k", "2"))),
                                     MakeEntry(3, machine.make()(DeleteOf("k")))};
  size_t taken = 0;
  auto outcome = machine.state().Apply(log, &taken);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kNoSpace);
  EXPECT_EQ(taken, 2U);
  EXPECT_TRUE(machine.state().write_pending());
  EXPECT_EQ(machine.Keys(), "k=1@2/2/1/0") << "nothing of the batch is visible";
  EXPECT_EQ(machine.state().RetryWrite().error().code(), ErrorCode::kNoSpace);

  machine.engine().SetFull(false);
  outcome = machine.state().RetryWrite();
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(machine.state().write_pending());
  EXPECT_EQ(outcome->report.applied, raft::Index(3));
  EXPECT_EQ(outcome->events->events.size(), 2U);
  EXPECT_EQ(outcome->results[0].results.size(), 2U);
  EXPECT_EQ(machine.Keys(), "");
}

TEST(StartTest, BootstrapIsDurableAtIndexZero) {
  Machine machine;
  auto row = StateMachine::ReadApplied(machine.engine(), engine::Tier::kPersisted);
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->index, raft::Index(0));
  EXPECT_EQ((*row)->current, Revision(1));
  Machine crashed = machine.Crashed();
  EXPECT_EQ(crashed.state().Read()->members->size(), 1U);
  EXPECT_EQ(crashed.Do(PutOf("k", "v")).revision, Revision(2));
}

TEST(StartTest, AnEngineThatWasNeverBootstrappedSaysSo) {
  auto engine = std::make_shared<engine::MemEngine>();
  auto row = StateMachine::ReadApplied(*engine, engine::Tier::kAll);
  ASSERT_TRUE(row);
  EXPECT_FALSE(row->has_value());
  StateMachine state({}, {raft::NodeId(kSelf), kNonce}, engine);
  EXPECT_EQ(state.Restore().error().code(), ErrorCode::kCorruption);
}

TEST(StartTest, LostRecordsAreNoticed) {
  Machine machine;
  machine.Do(PutOf("k", "v"));
  auto batch = machine.engine().NewBatch();
  batch->Delete(engine::Table::kRev, mvcc::RecordKey({Revision(2), 0}));
  ASSERT_TRUE(machine.engine().Write(*batch));
  ASSERT_TRUE(machine.engine().Flush());
  std::shared_ptr<engine::MemEngine> engine = machine.engine().AfterCrash();
  StateMachine state({}, {raft::NodeId(kSelf), kNonce}, engine);
  EXPECT_EQ(state.Restore().error().code(), ErrorCode::kCorruption);
}

TEST(StartTest, DurableFollowsFlushes) {
  Machine machine;
  for (int i = 0; i < 40; ++i) machine.Do(PutOf("k", "v"));
  EXPECT_EQ(machine.last().report.durable, raft::Index(0));
  ASSERT_TRUE(machine.engine().Flush());
  for (int i = 0; i < 16; ++i) machine.Do(PutOf("k", "v"));
  EXPECT_EQ(machine.last().report.durable, raft::Index(40));
}

}  // namespace
}  // namespace store::apply
