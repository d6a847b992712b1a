// SPDX-License-Identifier: Apache-2.0
#include "store/server/flags.h"

#include <gtest/gtest.h>

namespace store::server {
namespace {

using Kind = FlagOutcome::Kind;

FlagOutcome Parse(const std::vector<std::string>& arguments,
                  const std::map<std::string, std::string>& environment = {}) {
  return ParseFlags(arguments, environment);
}

TEST(Flags, NoFlagsServeOnLocalhost) {
  FlagOutcome outcome = Parse({});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.data_dir, "default.etcd");
  EXPECT_EQ(outcome.config.listen_client_urls[0].ToString(), "http://localhost:2379");
  EXPECT_EQ(outcome.config.listen_peer_urls[0].ToString(), "http://localhost:2380");
  EXPECT_EQ(outcome.config.bootstrap_members.at("default")[0].ToString(), "http://localhost:2380");
}

TEST(Flags, BothDashFormsAndBothValueForms) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--name=m1"},
                                                {"-name=m1"},
                                                {"--name", "m1"},
                                                {"-name", "m0", "--name", "m1"}}) {
    FlagOutcome outcome = Parse(words);
    ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
    EXPECT_EQ(outcome.config.name, "m1");
    EXPECT_EQ(outcome.config.data_dir, "m1.etcd");
  }
}

TEST(Flags, SwitchesNeedNoValue) {
  FlagOutcome outcome = ParseFlags({"--force-new-cluster", "--strict-reconfig-check=false",
                                    "--max-learners", "3", "--corrupt-check-time=1m"},
                                   {});
  ASSERT_EQ(outcome.kind, FlagOutcome::Kind::kRun) << outcome.text;
  EXPECT_TRUE(outcome.config.force_new_cluster);
  EXPECT_FALSE(outcome.config.strict_reconfig_check);
  EXPECT_EQ(outcome.config.max_learners, 3u);
  EXPECT_EQ(outcome.config.corrupt_check_time, std::chrono::minutes(1));
  EXPECT_EQ(ParseFlags({"--force-new-cluster=maybe"}, {}).kind, FlagOutcome::Kind::kUsage);
}

TEST(Flags, ClassicTutorialCommand) {
  FlagOutcome outcome =
      Parse({"--name", "infra0", "--initial-advertise-peer-urls", "http://127.0.0.1:12380",
             "--listen-peer-urls", "http://127.0.0.1:12380", "--listen-client-urls",
             "http://127.0.0.1:12379,http://[::1]:12379", "--advertise-client-urls",
             "http://127.0.0.1:12379", "--initial-cluster-token", "etcd-cluster-1",
             "--initial-cluster", "infra0=http://127.0.0.1:12380,infra1=http://127.0.0.1:22380",
             "--initial-cluster-state", "new"});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.listen_client_urls.size(), 2u);
  EXPECT_EQ(outcome.config.listen_client_urls[1].host, "::1");
  EXPECT_EQ(outcome.config.bootstrap_members.size(), 2u);
}

struct Refusal {
  std::vector<std::string> arguments;
  Kind kind;
  std::string text;
};

TEST(Flags, EachMistakeHasItsOwnMessage) {
  const Refusal cases[] = {
      {{"--xyz"}, Kind::kUsage, "flag provided but not defined: -xyz"},
      {{"--experimental-enable-lease-checkpoint-persist"},
       Kind::kInvalid,
       "enabling feature gate LeaseCheckpointPersist requires enabling feature gate "
       "LeaseCheckpoint"},
      {{"--lease-checkpoint-interval=10ms"},
       Kind::kInvalid,
       "--lease-checkpoint-interval must be at least 1s"},
      {{"-xyz=1"}, Kind::kUsage, "flag provided but not defined: -xyz"},
      {{"--name"}, Kind::kUsage, "flag needs an argument: -name"},
      {{"serve"}, Kind::kInvalid, "'serve' is not a valid flag"},
      {{"--max-txn-ops=many"},
       Kind::kUsage,
       "invalid value \"many\" for flag -max-txn-ops: parse error"},
      {{"--quota-backend-bytes=99999999999999999999"}, Kind::kUsage, "value out of range"},
      {{"--initial-cluster-state=old"},
       Kind::kUsage,
       "invalid value \"old\" for flag -initial-cluster-state"},
      {{"--auto-compaction-mode=daily"}, Kind::kUsage, "unknown auto-compaction-mode \"daily\""},
      {{"--auto-compaction-retention=soon"},
       Kind::kInvalid,
       "--auto-compaction-retention \"soon\""},
      {{"--log-level=loud"}, Kind::kUsage, "unknown log level"},
      {{"--listen-client-urls=localhost:2379"}, Kind::kUsage, "URL scheme must be http"},
      {{"--listen-client-urls=http://127.0.0.1:1"},
       Kind::kInvalid,
       "--advertise-client-urls is required when --listen-client-urls is set explicitly"},
      {{"--listen-peer-urls=http://example.org:2380"},
       Kind::kInvalid,
       "expected IP in URL for binding (http://example.org:2380)"},
      {{"--advertise-client-urls=http://:2379"}, Kind::kInvalid, "unexpected empty host"},
      {{"--initial-cluster=other=http://localhost:2380"},
       Kind::kInvalid,
       "couldn't find local name \"default\" in the initial cluster configuration"},
      {{"--initial-cluster=default=http://localhost:1"},
       Kind::kInvalid,
       "--initial-cluster has default=http://localhost:1 but"},
      {{"--initial-cluster=default=http://h:1,b=http://h:1"}, Kind::kInvalid, "has duplicate url"},
      {{"--heartbeat-interval=0"}, Kind::kInvalid, "--heartbeat-interval must be >0 (set to 0ms)"},
      {{"--election-timeout=400"},
       Kind::kInvalid,
       "--election-timeout[400ms] should be at least as 5 times as --heartbeat-interval[100ms]"},
      {{"--election-timeout=60000"}, Kind::kInvalid, "should be set less than 50000ms"},
  };
  for (const Refusal& refusal : cases) {
    FlagOutcome outcome = Parse(refusal.arguments);
    EXPECT_EQ(outcome.kind, refusal.kind) << refusal.arguments[0];
    EXPECT_NE(outcome.text.find(refusal.text), std::string::npos)
        << refusal.arguments[0] << ": " << outcome.text;
  }
}

TEST(Flags, EnvironmentFillsWhatIsNotGiven) {
  FlagOutcome outcome = Parse({}, {{"ETCD_NAME", "m9"}, {"ETCD_DATA_DIR", ""}, {"PATH", "/bin"}});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.name, "m9");
  EXPECT_TRUE(outcome.warnings.empty());
}

TEST(Flags, FlagAndVariableTogetherAreRefused) {
  FlagOutcome outcome = Parse({"--name=a"}, {{"ETCD_NAME", "b"}});
  EXPECT_EQ(outcome.kind, Kind::kInvalid);
  EXPECT_NE(outcome.text.find("conflicting environment variable is shadowed by corresponding "
                              "command-line flag"),
            std::string::npos);
}

TEST(Flags, UnknownVariableIsAWarningAndABadOneStops) {
  FlagOutcome outcome = Parse({}, {{"ETCD_SERVICE_HOST", "10.0.0.1"}});
  EXPECT_EQ(outcome.kind, Kind::kRun);
  ASSERT_EQ(outcome.warnings.size(), 1u);
  outcome = Parse({}, {{"ETCD_MAX_TXN_OPS", "x"}});
  EXPECT_EQ(outcome.kind, Kind::kInvalid);
  EXPECT_NE(outcome.text.find("invalid value \"x\" for ETCD_MAX_TXN_OPS"), std::string::npos);
}

TEST(Flags, VersionAndHelp) {
  EXPECT_EQ(Parse({"--version"}).kind, Kind::kPrint);
  EXPECT_EQ(Parse({"--version"}).text.substr(0, 19), "etcd Version: 3.7.0");
  EXPECT_EQ(Parse({"-h"}).kind, Kind::kPrint);
  EXPECT_NE(Parse({"--help"}).text.find("--listen-client-urls"), std::string::npos);
}

TEST(Durations, GoSyntax) {
  using namespace std::chrono_literals;
  EXPECT_EQ(*ParseDuration("1h30m"), 90min);
  EXPECT_EQ(*ParseDuration("100ms"), 100ms);
  EXPECT_EQ(*ParseDuration("1.5s"), 1500ms);
  EXPECT_EQ(*ParseDuration("0"), 0s);
  EXPECT_FALSE(ParseDuration("5"));
  EXPECT_FALSE(ParseDuration("m5"));
  EXPECT_FALSE(ParseDuration(""));
  EXPECT_FALSE(ParseDuration("1d"));
}

TEST(CompactionFlags, BareNumberIsHoursInPeriodicMode) {
  EXPECT_EQ(Parse({"--auto-compaction-retention=2"}).config.compaction_period,
            std::chrono::hours(2));
  EXPECT_EQ(Parse({"--auto-compaction-retention=10m"}).config.compaction_period,
            std::chrono::minutes(10));
  FlagOutcome revision =
      Parse({"--auto-compaction-mode=revision", "--auto-compaction-retention=1000"});
  EXPECT_EQ(revision.config.compaction_revisions, 1000);
  EXPECT_EQ(revision.config.compaction_period, Duration::zero());
}

}  // namespace
}  // namespace store::server
