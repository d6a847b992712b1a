// SPDX-License-Identifier: Apache-2.0
// Log retention, automatic compaction and the lone writer by themselves.
#include "store/apply/command.h"
#include "store/replica/log_retention.h"
#include "store/replica/lone_writer.h"
#include "tests/unit/replica/fake_env.h"

#include <gtest/gtest.h>

namespace store::replica {
namespace {

using raft::Index;

TEST(LoneWriter, IsThereAfterTurnsOfOneProposalAndUntilAnybodyElseComes) {
  LoneWriter lone;
  const auto settle = [&lone] {
    for (size_t i = 0; i < LoneWriter::kTurnsMin; ++i) {
      EXPECT_FALSE(lone.there());
      lone.OnProposals(1);
    }
    EXPECT_TRUE(lone.there());
  };
  settle();
  lone.OnProposals(1);
  EXPECT_TRUE(lone.there());
  lone.OnProposals(2);
  settle();
  lone.OnOthers();
  settle();
}

TEST(LogRetention, KeepsTheNewestEntries) {
  LogRetention retention({.entries = 100, .bytes = 1 << 30, .step_entries = 10});
  for (uint64_t i = 1; i <= 105; ++i) retention.OnApplied(Index(i), 100);
  EXPECT_EQ(retention.Decide(Index(105), Index(0)), std::nullopt) << "less than a step";
  for (uint64_t i = 106; i <= 120; ++i) retention.OnApplied(Index(i), 100);
  EXPECT_EQ(retention.Decide(Index(120), Index(0)), Index(20));
}

TEST(LogRetention, NeverBeyondTheDurableIndex) {
  LogRetention retention({.entries = 10, .bytes = 1 << 30, .step_entries = 1});
  for (uint64_t i = 1; i <= 1000; ++i) retention.OnApplied(Index(i), 100);
  EXPECT_EQ(retention.Decide(Index(50), Index(0)), Index(40));
  EXPECT_EQ(retention.Decide(Index(5), Index(0)), std::nullopt);
}

TEST(LogRetention, LargeEntriesAreKeptByBytes) {
  LogRetention retention({.entries = 5000, .bytes = 10 << 20, .step_entries = 1000});
  for (uint64_t i = 1; i <= 640; ++i) retention.OnApplied(Index(i), 1 << 20);
  auto through = retention.Decide(Index(640), Index(0));
  ASSERT_TRUE(through.has_value());
  EXPECT_GT(*through, Index(500));
  EXPECT_LE(*through, Index(630));
}

int64_t LastCompaction(const OneMember& member) {
  for (auto entry = member.applied.rbegin(); entry != member.applied.rend(); ++entry) {
    sluice::store::Command command;
    if ((*entry)->kind == raft::EntryKind::kCommand &&
        apply::DecodeCommand((*entry)->data, &command) && command.has_compaction()) {
      return command.compaction().revision();
    }
  }
  return 0;
}

// Reports a current revision as apply would.
void ReportRevision(OneMember& member, int64_t revision) {
  apply::ApplyReport report;
  report.applied = member.replica().status().applied;
  report.durable = report.applied;
  report.current = Revision(revision);
  member.replica().OnApplied(report);
  member.replica().Flush();
}

TEST(AutoCompaction, PeriodicCompactsToTheRevisionOfOnePeriodAgo) {
  ReplicaConfig config;
  config.compaction.period = std::chrono::minutes(10);
  OneMember member(config);
  member.Settle();
  for (int minute = 0; minute <= 21; ++minute) {
    ReportRevision(member, 1000 + minute);
    member.Tick(std::chrono::minutes(1));
    member.Settle();
    ReportRevision(member, 1000 + minute);
    if (minute < 10) {
      EXPECT_EQ(LastCompaction(member), 0) << minute;
    }
  }
  int64_t compacted = LastCompaction(member);
  EXPECT_GE(compacted, 1009);
  EXPECT_LE(compacted, 1012);
}

TEST(AutoCompaction, RevisionModeKeepsThatManyRevisions) {
  ReplicaConfig config;
  config.compaction.revisions = 100;
  OneMember member(config);
  member.Settle();
  ReportRevision(member, 5000);
  for (int minute = 0; minute <= 6; ++minute) {
    member.Tick(std::chrono::minutes(1));
    member.Persisted();
    member.applied.insert(member.applied.end(), member.env.to_apply.begin(),
                          member.env.to_apply.end());
    member.env.to_apply.clear();
  }
  EXPECT_EQ(LastCompaction(member), 4900);
}

}  // namespace
}  // namespace store::replica
