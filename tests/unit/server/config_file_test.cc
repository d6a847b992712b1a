// SPDX-License-Identifier: Apache-2.0
#include "store/server/config_file.h"

#include "store/base/file.h"
#include "store/server/flags.h"
#include "tests/unit/base/temp_dir.h"

#include <gtest/gtest.h>

namespace store::server {
namespace {

using Kind = FlagOutcome::Kind;

class ConfigFile : public testing::Test {
 protected:
  std::string Write(std::string_view text) {
    std::string path = JoinPath(dir_.path(), "etcd.yml");
    EXPECT_TRUE(ReplaceFile(path, text));
    return path;
  }
  FlagOutcome Parse(std::string_view text) {
    return ParseFlags({"--config-file", Write(text)}, {});
  }

  TempDir dir_;
};

TEST_F(ConfigFile, KeysAreFlags) {
  FlagOutcome outcome = Parse(R"(
name: infra0
data-dir: /var/lib/infra0
listen-client-urls: http://127.0.0.1:1,http://127.0.0.1:2
advertise-client-urls: http://127.0.0.1:1
snapshot-count: 5000
strict-reconfig-check: false
auto-compaction-retention: "1"
watch-progress-notify-interval: 5000000000
corrupt-check-time: 1m
log-outputs: [stdout, /tmp/log]
cors:
initial-cluster: ''
)");
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.name, "infra0");
  EXPECT_EQ(outcome.config.listen_client_urls.size(), 2u);
  EXPECT_EQ(outcome.config.snapshot_count, 5000u);
  EXPECT_FALSE(outcome.config.strict_reconfig_check);
  EXPECT_EQ(outcome.config.compaction_period, std::chrono::hours(1));
  EXPECT_EQ(outcome.config.watch_progress_notify_interval, std::chrono::seconds(5));
  EXPECT_EQ(outcome.config.corrupt_check_time, std::chrono::minutes(1));
  EXPECT_EQ(outcome.config.log_outputs, (std::vector<std::string>{"stdout", "/tmp/log"}));
  EXPECT_TRUE(outcome.warnings.empty()) << outcome.warnings[0];
}

// A file as the stock documentation shows it: everything named, most of it empty or off.
TEST_F(ConfigFile, WhatIsOffNeedsNothing) {
  FlagOutcome outcome = Parse(R"(
wal-dir:
client-transport-security:
  cert-file:
  client-cert-auth: false
  auto-tls: false
peer-transport-security:
  trusted-ca-file: ''
  allowed-cn: []
discovery:
discovery-fallback: proxy
cipher-suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
tls-min-version: 'TLS1.2'
force-new-cluster: false
)");
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_TRUE(outcome.warnings.empty()) << outcome.warnings[0];
}

// As YAML lets people write it.
TEST_F(ConfigFile, ASwitchMayBeYesOrNo) {
  FlagOutcome outcome = Parse("force-new-cluster: yes\nstrict-reconfig-check: Off\n");
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_TRUE(outcome.config.force_new_cluster);
  EXPECT_FALSE(outcome.config.strict_reconfig_check);
}

TEST_F(ConfigFile, IsUsedAlone) {
  FlagOutcome outcome = ParseFlags({"--config-file", Write("name: a\n"), "--max-txn-ops=7"},
                                   {{"ETCD_SNAPSHOT_COUNT", "9"}});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.name, "a");
  EXPECT_EQ(outcome.config.max_txn_ops, 128u);
  EXPECT_EQ(outcome.config.snapshot_count, 10'000u);
  ASSERT_EQ(outcome.notes.size(), 1u);
  EXPECT_EQ(ParseFlags({}, {{"ETCD_CONFIG_FILE", Write("name: b\n")}}).config.name, "b");
}

// As at etcd, which looks for the file first: what is not looked at cannot be in conflict either.
TEST_F(ConfigFile, IsLookedForBeforeFlagsAndVariablesAreHeldAgainstEachOther) {
  const std::string path = Write("name: a\n");
  FlagOutcome outcome =
      ParseFlags({"--config-file", path, "--name=b", "--experimental-initial-corrupt-check",
                  "--feature-gates=InitialCorruptCheck=true"},
                 {{"ETCD_NAME", "c"}});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.name, "a");
  FlagOutcome variable = ParseFlags({"--name=b"}, {{"ETCD_CONFIG_FILE", path}});
  ASSERT_EQ(variable.kind, Kind::kRun) << variable.text;
  EXPECT_EQ(variable.config.name, "a");
}

TEST_F(ConfigFile, EachMistakeSaysWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"name: a\nmax-txn-ops: many\n", "invalid value \"many\" for max-txn-ops ("},
      {"name: a\nmax-txn-ops: many\n", "etcd.yml, line 2): parse error"},
      {"- a\n", "line 1: the file must be keys with values"},
      {"name: [a, {b: c}]\n", "line 1: name takes a list of plain values"},
      {"name:\n  x: y\n", "line 2: name takes one value, not keys"},
      {"name: [a\n", "etcd.yml, line "},
      {"peer-transport-security: yes\n", "peer-transport-security must be keys with values"},
      {"peer-transport-security:\n  cert-file: /x\n",
       "--peer-cert-file=/x is not supported: this release has no TLS; leave it out"},
      {"initial-cluster-state: old\n", "unexpected clusterState \"old\""},
  };
  for (const auto& [text, message] : cases) {
    FlagOutcome outcome = Parse(text);
    EXPECT_EQ(outcome.kind, Kind::kInvalid) << text;
    EXPECT_NE(outcome.text.find(message), std::string::npos) << text << ": " << outcome.text;
  }
  FlagOutcome missing = ParseFlags({"--config-file=/nowhere/etcd.yml"}, {});
  EXPECT_EQ(missing.kind, Kind::kInvalid);
  EXPECT_NE(missing.text.find("/nowhere/etcd.yml"), std::string::npos) << missing.text;
}

TEST_F(ConfigFile, UnknownKeysAreToldOf) {
  FlagOutcome outcome = Parse("name: a\nhearbeat-interval: 100\n");
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  ASSERT_EQ(outcome.warnings.size(), 1u);
  EXPECT_NE(outcome.warnings[0].find("hearbeat-interval ("), std::string::npos);
}

}  // namespace
}  // namespace store::server
