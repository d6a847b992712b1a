// SPDX-License-Identifier: Apache-2.0
#include "store/server/version_monitor.h"

#include "store/apply/command.h"
#include "tests/unit/api/member.h"

#include <gtest/gtest.h>

#include <map>

namespace store::server {
namespace {

using cluster::Version;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kOther = api::kMember + 1;

// A leader with another member in its list, whose log is what its door was given.
class VersionMonitorTest : public testing::Test {
 protected:
  VersionMonitorTest() : monitor(Parts()) {
    member.gauges.is_leader = true;
    AddMember(kOther);
  }
  ~VersionMonitorTest() override { monitor.Stop(); }

  VersionMonitor::Parts Parts() {
    return {.machine = member.machine,
            .door = member.door,
            .gauges = member.gauges,
            .executor = member.executor,
            .log = Logger(),
            .registry = registry,
            .self = raft::NodeId(api::kMember),
            .ask =
                [this](const cluster::Member& asked) {
                  ++questions;
                  EXPECT_EQ(asked.id, raft::NodeId(kOther));
                  return answer;
                },
            .run =
                [](Action&& action) {
                  action();
                  return true;
                }};
  }
  void AddMember(uint64_t id) {
    raft::ConfChange change{raft::ConfChangeKind::kAddLearner, raft::NodeId(id), {}};
    sluice::store::MembershipChange command;
    command.set_verb(sluice::store::MembershipChange::ADD);
    command.set_learners_max(1);
    change.context = apply::EncodeMembershipChange({}, command);
    member.ApplyEntry(raft::EntryKind::kConfChange, raft::EncodeConfChange(change));
  }
  void Enable(bool enabled, const std::string& target) {
    sluice::store::Command command;
    command.mutable_downgrade_info()->set_enabled(enabled);
    command.mutable_downgrade_info()->set_ver(target);
    member.ApplyEntry(raft::EntryKind::kCommand, apply::EncodeCommand({}, command));
  }
  void Run(Duration time) {
    for (Duration run{0}; run < time; run += milliseconds(100)) {
      member.executor.Advance(milliseconds(100));
      member.Pump();
    }
  }
  std::string version() { return *member.machine.Read()->cluster_version; }
  std::string metrics() { return registry.Text(); }

  api::Member member;
  Registry registry;
  std::optional<Version> answer;
  int questions = 0;
  VersionMonitor monitor;
};

TEST_F(VersionMonitorTest, StartsLowWhileSomebodyIsAwayAndRisesWithTheLastOne) {
  monitor.Start();
  Run(seconds(1));
  EXPECT_EQ(version(), "3.0.0");
  EXPECT_NE(metrics().find("etcd_cluster_version{cluster_version=\"3.0\"} 1\n"), std::string::npos);
  answer = Version{3, 7, 4};
  EXPECT_EQ(questions, 1);
  Run(seconds(4));
  EXPECT_EQ(questions, 2);
  EXPECT_EQ(version(), "3.7.0") << "patches do not count";
  EXPECT_NE(metrics().find("etcd_cluster_version{cluster_version=\"3.7\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics().find("etcd_cluster_version{cluster_version=\"3.0\"} 0\n"), std::string::npos);
}

TEST_F(VersionMonitorTest, TheLowestVersionThatRunsIsTheClusters) {
  answer = Version{3, 6, 1};
  monitor.Start();
  Run(seconds(1));
  EXPECT_EQ(version(), "3.6.0");
  answer = std::nullopt;
  Run(seconds(5));
  EXPECT_EQ(version(), "3.6.0") << "what was decided stays while somebody is away";
  answer = Version{3, 5, 0};
  Run(seconds(5));
  EXPECT_EQ(version(), "3.6.0") << "it never falls";
}

TEST_F(VersionMonitorTest, OnlyTheLeaderDecides) {
  member.gauges.is_leader = false;
  answer = Version{3, 7, 0};
  monitor.Start();
  Run(seconds(5));
  EXPECT_EQ(questions, 0);
  EXPECT_EQ(version(), "");
  member.gauges.is_leader = true;
  Run(seconds(1));
  EXPECT_EQ(version(), "3.7.0");
}

TEST_F(VersionMonitorTest, ADowngradeLowersItOnceAndEndsWithTheLastMember) {
  answer = Version{3, 7, 0};
  monitor.Start();
  Run(seconds(1));
  Enable(true, "3.6.0");
  Run(seconds(5));
  EXPECT_EQ(version(), "3.6.0");
  EXPECT_TRUE(member.machine.Read()->downgrade->enabled) << "this member still runs 3.7";
  Enable(false, "");
  Run(seconds(5));
  EXPECT_EQ(version(), "3.7.0") << "cancelled: it rises again";
}

TEST(DecodeServerVersion, TakesEtcdsAnswerAndNothingElse) {
  EXPECT_EQ(DecodeServerVersion(R"({"etcdserver":"3.7.0","etcdcluster":"3.0.0"})"),
            (Version{3, 7, 0}));
  EXPECT_EQ(DecodeServerVersion(R"({"etcdserver":"3.8.0-alpha.0"})"), (Version{3, 8, 0}));
  for (const char* odd : {"", "[]", "{}", R"({"etcdserver":3})", R"({"etcdserver":"newest"})"}) {
    EXPECT_FALSE(DecodeServerVersion(odd)) << odd;
  }
}

}  // namespace
}  // namespace store::server
