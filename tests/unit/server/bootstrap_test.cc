// SPDX-License-Identifier: Apache-2.0
// The boot rule: what of log and state may start together.
#include "store/server/bootstrap.h"

#include <gtest/gtest.h>

namespace store::server {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;

// A log cut behind `truncated` with `count` entries of term 2.
wal::LogImage Log(uint64_t truncated, uint64_t count) {
  wal::LogImage image;
  image.truncated = Index(truncated);
  image.truncated_term = Term(1);
  for (uint64_t i = 1; i <= count; ++i) {
    raft::Entry entry;
    entry.term = Term(2);
    entry.index = Index(truncated + i);
    image.entries.push_back(std::make_shared<const raft::Entry>(std::move(entry)));
  }
  if (count > 0) image.runs.push_back({Index(truncated + 1), Term(2)});
  return image;
}

apply::AppliedRow Applied(uint64_t index, uint64_t term) {
  apply::AppliedRow row;
  row.index = Index(index);
  row.term = Term(term);
  return row;
}

std::string Refusal(const Status& status) {
  EXPECT_FALSE(status);
  if (status) return {};
  EXPECT_EQ(status.error().code(), ErrorCode::kCorruption);
  return status.error().message();
}

TEST(BootRule, LogThatReachesTheStateMayStart) {
  EXPECT_TRUE(CheckLogAgainstState(Log(10, 5), Applied(12, 2)));
  EXPECT_TRUE(CheckLogAgainstState(Log(10, 5), Applied(15, 2)));
  EXPECT_TRUE(CheckLogAgainstState(Log(10, 5), Applied(10, 1)));
  wal::LogImage fresh;  // a first start: nothing applied, nothing logged
  EXPECT_TRUE(CheckLogAgainstState(fresh, Applied(0, 0)));
}

TEST(BootRule, LogThatLostItsEndIsRefused) {
  EXPECT_NE(Refusal(CheckLogAgainstState(Log(10, 5), Applied(16, 2))).find("the log lost its end"),
            std::string::npos);
}

TEST(BootRule, StateBehindTheCutOfTheLogIsRefused) {
  EXPECT_NE(Refusal(CheckLogAgainstState(Log(10, 5), Applied(9, 1))).find("entries between them"),
            std::string::npos);
}

TEST(BootRule, AnotherTermAtTheAppliedIndexIsRefused) {
  EXPECT_NE(Refusal(CheckLogAgainstState(Log(10, 5), Applied(12, 3))).find("not of one member"),
            std::string::npos);
}

// Architecture 3.5: `STATE` names the snapshot (30, 2).
TEST(BootRule, OnlyALogFromBeforeTheInstallIsEmptied) {
  const engine::StateName installed{"state-2", 30, 2};
  struct Case {
    const char* what;
    wal::LogImage log;  // entries of term 2 behind the cut
    bool before;
  };
  const Case cases[] = {
      {"cut at the snapshot: it was emptied", Log(30, 0), false},
      {"went on after it was emptied", Log(30, 5), false},
      {"went on and was cut", Log(45, 5), false},
      {"holds the entry and more", Log(10, 25), false},
      {"holds the entry as its last", Log(10, 20), false},
      {"ends before it", Log(10, 19), true},
      {"cut and empty before it", Log(29, 0), true},
      {"never had an entry", wal::LogImage(), true},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(LogIsFromBeforeInstall(one.log, installed), one.before) << one.what;
  }
  EXPECT_TRUE(LogIsFromBeforeInstall(Log(10, 25), {"state-2", 30, 3})) << "another term there";
  EXPECT_FALSE(LogIsFromBeforeInstall(wal::LogImage(), {"state-1", 0, 0})) << "never installed";
}

TEST(BootRule, LogOfAnotherClusterIsRefused) {
  raft::ConfState conf;
  conf.voters = {NodeId(1)};
  conf.learners = {NodeId(3)};
  EXPECT_TRUE(CheckMemberIsOfState({ClusterId(9), NodeId(1)}, conf));
  EXPECT_TRUE(CheckMemberIsOfState({ClusterId(9), NodeId(3)}, conf));
  EXPECT_NE(
      Refusal(CheckMemberIsOfState({ClusterId(9), NodeId(2)}, conf)).find("different clusters"),
      std::string::npos);
}

}  // namespace
}  // namespace store::server
