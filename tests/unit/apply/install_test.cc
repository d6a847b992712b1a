// SPDX-License-Identifier: Apache-2.0
// A state machine that goes on from another member's state while readers, watchers and leases look
// on.
#include "store/base/random.h"
#include "tests/unit/apply/machine.h"
#include "tests/unit/apply/random_log.h"
#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

namespace store::apply {
namespace {

// What a snapshot of `machine` is once it has arrived.
std::shared_ptr<engine::MemEngine> SnapshotOf(Machine& machine) {
  EXPECT_TRUE(machine.engine().Flush());
  return machine.engine().AfterCrash();
}

TEST(InstallTest, EverythingIsReadFromTheSnapshot) {
  Machine ahead;
  ahead.Do(GrantOf(7, 60));
  ahead.Do(PutOf("a", "1", 7));
  ahead.Do(PutOf("b", "2"));
  Machine behind;
  behind.Do(PutOf("old", "gone"));
  const Status installed = behind.state().Install(SnapshotOf(ahead));
  ASSERT_TRUE(installed) << installed.error().ToString();
  EXPECT_EQ(behind.Keys(), ahead.Keys());
  EXPECT_EQ(behind.state().Read()->applied, raft::Index(3));
  EXPECT_EQ(behind.state().applied().index, raft::Index(3));
  EXPECT_EQ(behind.state().applied().conf, ahead.state().applied().conf);
  ASSERT_TRUE(behind.state().leases().Contains(LeaseId(7)));
  EXPECT_TRUE(behind.state().leases().Find(LeaseId(7))->keys.contains("a"));
  behind.state().mvcc().CheckInvariants();
}

TEST(InstallTest, AStateThatIsNotAheadIsRefusedWithoutEffect) {
  Machine one;
  one.Do(PutOf("a", "1"));
  Machine two;
  two.Do(PutOf("b", "1"));
  EXPECT_EQ(two.state().Install(SnapshotOf(one)).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(two.state().Install(std::make_shared<engine::MemEngine>()).error().code(),
            ErrorCode::kCorruption);
  EXPECT_EQ(two.Do(PutOf("b", "2")).revision, Revision(3));
}

// The same log in one piece, and with installs of another member's state in between: the same rows.
TEST(InstallTest, AfterItTheLogGoesOnAsOnEveryMember) {
  Random random = SeededRandom("install");
  for (int round = 0; round < 5; ++round) {
    CommandMaker make;
    std::vector<raft::EntryPtr> log;
    for (uint64_t i = 1; i <= 400; ++i) log.push_back(MakeEntry(i, make(RandomCommand(random))));
    Machine whole;
    whole.Feed(log);
    Machine ahead;
    Machine behind;
    size_t at = 0;
    while (at < log.size()) {
      at = std::min(log.size(), at + 1 + random.Below(100));
      ahead.Feed(std::span(log).first(at));
      if (random.Below(2) == 0) {
        ASSERT_TRUE(behind.state().Install(SnapshotOf(ahead)));
      } else {
        behind.Feed(std::span(log).first(at));
      }
    }
    EXPECT_EQ(behind.Keys(), whole.Keys());
    EXPECT_EQ(DumpOf(*behind.state().mvcc().engine()), DumpOf(whole.engine()));
    behind.state().mvcc().CheckInvariants();
  }
}

TEST(InstallTest, AViewTakenBeforeReadsTheFormerState) {
  Machine behind;
  behind.Do(PutOf("old", "value"));
  Machine ahead;
  for (int i = 0; i < 3; ++i) ahead.Do(PutOf("new", "value"));
  {
    StateRef before = behind.state().Read();
    ASSERT_TRUE(behind.state().Install(SnapshotOf(ahead)));
    EXPECT_EQ(before->applied, raft::Index(1));
    EXPECT_TRUE(before.view().Lookup("old"));
    EXPECT_FALSE(before.view().Lookup("new"));
    EXPECT_FALSE(behind.state().Read().view().Lookup("old"));
  }
}

// A view over several turns cannot go on: the history it began in is not the store's any more.
TEST(InstallTest, AHeldViewEndsAsCompacted) {
  Machine behind;
  behind.Do(PutOf("old", "value"));
  auto held = behind.state().mvcc().Hold();
  ASSERT_TRUE(held);
  Machine ahead;
  for (int i = 0; i < 3; ++i) ahead.Do(PutOf("new", "value"));
  ASSERT_TRUE(behind.state().Install(SnapshotOf(ahead)));
  EXPECT_TRUE(held->cancelled());
  EXPECT_EQ(held->Enter().error().code(), ErrorCode::kCompacted);
  EXPECT_TRUE(behind.state().mvcc().Hold());
}

// It closes with the last reader and the retired roots that name it, not at some later time.
TEST(InstallTest, TheFormerEngineClosesWhenItsLastReaderLetsGo) {
  auto engine = std::make_shared<engine::MemEngine>();
  std::weak_ptr<engine::MemEngine> former = engine;
  StateMachine state({}, {raft::NodeId(kSelf), kNonce}, engine);
  engine.reset();
  ASSERT_TRUE(state.Bootstrap(OneMember()));
  std::shared_ptr<engine::Engine> reader = state.mvcc().engine();
  Machine ahead;
  for (int i = 0; i < 4; ++i) ahead.Do(PutOf("new", "value"));
  ASSERT_TRUE(state.Install(SnapshotOf(ahead)));
  // Two batches: what one replaced is sealed by the next.
  for (uint64_t index = 5; index <= 8; ++index) {
    const std::vector<raft::EntryPtr> entries = {MakeEntry(index, ahead.make()(PutOf("k", "v")))};
    size_t taken = 0;
    ASSERT_TRUE(state.Apply(entries, &taken));
  }
  EXPECT_FALSE(former.expired()) << "a reader has it";
  reader.reset();
  EXPECT_TRUE(former.expired());
}

}  // namespace
}  // namespace store::apply
