// SPDX-License-Identifier: Apache-2.0
#include "store/server/flags.h"

#include "store/server/advice.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <gtest/gtest.h>

namespace store::server {
namespace {

using Kind = FlagOutcome::Kind;

std::string EnvironmentName(const std::string& flag) {
  return "ETCD_" + absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}}));
}

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

const Refusal kRefusals[] = {
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
     "invalid value \"old\" for flag -initial-cluster-state: invalid value"},
    {{"--discovery-fallback=foo"},
     Kind::kUsage,
     "invalid value \"foo\" for flag -discovery-fallback: invalid value"},
    {{"--strict-reconfig-check=maybe"},
     Kind::kUsage,
     "invalid boolean value \"maybe\" for -strict-reconfig-check: parse error"},
    {{"--compact-hash-check-time=0s"},
     Kind::kInvalid,
     "--compact-hash-check-time must be >0 (set to 0s)"},
    {{"--experimental-compact-hash-check-time=-1s"},
     Kind::kInvalid,
     "--compact-hash-check-time must be >0 (set to -1s)"},
    {{"--compact-hash-check-time=often"},
     Kind::kUsage,
     "invalid value \"often\" for flag -compact-hash-check-time: parse error"},
    {{"--auto-compaction-mode=daily"}, Kind::kInvalid, "unknown auto-compaction-mode \"daily\""},
    {{"--auto-compaction-mode="}, Kind::kInvalid, "undefined auto-compaction-mode"},
    {{"--auto-compaction-retention=soon"}, Kind::kInvalid, "--auto-compaction-retention \"soon\""},
    {{"--log-level=loud"}, Kind::kUsage, "unknown log level"},
    {{"--log-format=xml"},
     Kind::kInvalid,
     "unknown log format: xml, supported values json, console"},
    {{"--log-outputs=default,stdout"}, Kind::kInvalid, "default stands alone"},
    {{"--log-outputs="}, Kind::kInvalid, "no output is named"},
    {{"--cors=http://example.org:80"},
     Kind::kInvalid,
     "--cors=http://example.org:80 is not supported: every origin is allowed; leave it out"},
    {{"--enable-pprof=maybe"},
     Kind::kUsage,
     "invalid boolean value \"maybe\" for -enable-pprof: parse error"},
    {{"--listen-client-http-urls=http://localhost:2379"},
     Kind::kInvalid,
     "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url "
     "http://localhost:2379"},
    {{"--listen-client-urls=localhost:2379"}, Kind::kUsage, "URL scheme must be http"},
    {{"--listen-client-urls=http://127.0.0.1:1"},
     Kind::kInvalid,
     "--advertise-client-urls is required when --listen-client-urls is set explicitly"},
    {{"--listen-peer-urls=http://example.org:2380"},
     Kind::kInvalid,
     "expected IP in URL for binding (http://example.org:2380)"},
    {{"--listen-client-urls=http://:23790", "--advertise-client-urls=http://127.0.0.1:23790"},
     Kind::kInvalid,
     "expected IP in URL for binding (http://:23790)"},
    {{"--listen-peer-urls=http://:23800"},
     Kind::kInvalid,
     "expected IP in URL for binding (http://:23800)"},
    {{"--advertise-client-urls=http://h:1,http://:2379"},
     Kind::kInvalid,
     "--advertise-client-urls \"http://h:1,http://:2379\" must be \"host:port\" (unexpected empty "
     "host "
     "(http://:2379))"},
    {{"--initial-advertise-peer-urls=http://:2380"},
     Kind::kInvalid,
     "--initial-advertise-peer-urls \"http://:2380\" must be \"host:port\" (unexpected empty host "
     "(http://:2380))"},
    {{"--heartbeat-interval=0"}, Kind::kInvalid, "--heartbeat-interval must be >0 (set to 0ms)"},
    {{"--election-timeout=400"},
     Kind::kInvalid,
     "--election-timeout[400ms] should be at least as 5 times as --heartbeat-interval[100ms]"},
    {{"--election-timeout=60000"}, Kind::kInvalid, "should be set less than 50000ms"},
};

// Nobody reaches 0.0.0.0.
TEST(Flags, WhoListensEverywhereTellsTheAddressOfTheDefaultRoute) {
  auto parse = [](const std::vector<std::string>& arguments,
                  const std::optional<std::string>& host) {
    return ParseFlags(arguments, {}, [&host] { return host; });
  };
  FlagOutcome outcome =
      parse({"--listen-peer-urls=http://0.0.0.0:23800,http://10.1.2.3:23800"}, "10.1.2.3");
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  ASSERT_EQ(outcome.config.initial_advertise_peer_urls.size(), 1u);
  EXPECT_EQ(outcome.config.initial_advertise_peer_urls[0].ToString(), "http://10.1.2.3:23800");
  EXPECT_EQ(outcome.config.bootstrap_members.at("default")[0].ToString(), "http://10.1.2.3:23800");
  EXPECT_EQ(outcome.config.listen_peer_urls[0].ToString(), "http://0.0.0.0:23800");
  EXPECT_EQ(outcome.notes,
            (std::vector<std::string>{"detected default host for advertise: 10.1.2.3"}));
  outcome = parse({"--listen-peer-urls=http://[::]:23800"}, std::nullopt);
  EXPECT_EQ(outcome.config.initial_advertise_peer_urls[0].ToString(), "http://localhost:23800");
  EXPECT_TRUE(outcome.notes.empty());
  outcome = parse({"--listen-peer-urls=http://127.0.0.1:23800"}, "10.1.2.3");
  EXPECT_EQ(outcome.config.initial_advertise_peer_urls[0].ToString(), "http://127.0.0.1:23800");
  outcome =
      parse({"--listen-peer-urls=http://0.0.0.0:1", "--initial-advertise-peer-urls=http://h:1"},
            "10.1.2.3");
  EXPECT_EQ(outcome.config.initial_advertise_peer_urls[0].ToString(), "http://h:1");
}

TEST(Advice, SizesThatEtcdAdvisesAgainst) {
  SystemClock clock;
  auto sink = std::make_shared<MemoryLogSink>();
  const Logger log(sink, clock);
  WarnOfSizes(Parse({"--max-request-bytes=10485760", "--quota-backend-bytes=8589934592"}).config,
              log);
  EXPECT_TRUE(sink->lines().empty());
  WarnOfSizes(Parse({"--max-request-bytes=20000000", "--quota-backend-bytes=9000000000"}).config,
              log);
  EXPECT_EQ(sink->Count("\"msg\":\"exceeded recommended request limit\",\"max-request-bytes\":"
                        "20000000,\"max-request-size\":\"20 MB\",\"recommended-request-bytes\":"
                        "10485760,\"recommended-request-size\":\"10 MB\""),
            1u);
  EXPECT_EQ(sink->Count("\"msg\":\"quota exceeds the maximum value\",\"quota-name\":\"v3-applier\","
                        "\"quota-size-bytes\":9000000000,\"quota-size\":\"9.0 GB\","
                        "\"quota-maximum-size-bytes\":8589934592,\"quota-maximum-size\":"
                        "\"8.6 GB\""),
            1u);
}

// As Go reads them with base 0; each was shown to etcd 3.4.23.
TEST(Flags, NumbersInGosSyntax) {
  const std::pair<const char*, uint64_t> good[] = {{"0x10", 16},  {"0X1F", 31}, {"0o17", 15},
                                                   {"0b11", 3},   {"017", 15},  {"1_000", 1000},
                                                   {"0x_1f", 31}, {"0_7", 7},   {"0", 0}};
  for (const auto& [text, value] : good) {
    FlagOutcome outcome = Parse({"--max-txn-ops", text});
    ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
    EXPECT_EQ(outcome.config.max_txn_ops, value) << text;
  }
  for (const char* bad : {"+5", "-5", "08", "1__0", "_1", "1_", "0x", "0x-1", "1e3", "", "0b2"}) {
    EXPECT_EQ(Parse({"--max-txn-ops", bad}).kind, Kind::kUsage) << bad;
  }
  EXPECT_EQ(Parse({"--quota-backend-bytes=-0x10"}).config.quota_backend_bytes, -16);
  EXPECT_EQ(Parse({"--quota-backend-bytes=+8"}).config.quota_backend_bytes, 8);
  EXPECT_EQ(Parse({"--quota-backend-bytes=-9223372036854775808"}).config.quota_backend_bytes,
            INT64_MIN);
  EXPECT_NE(Parse({"--quota-backend-bytes=9223372036854775808"}).text.find("value out of range"),
            std::string::npos);
  EXPECT_NE(Parse({"--max-learners=4294967296"}).text.find("value out of range"),
            std::string::npos);
}

TEST(Flags, UrlsThatAreLeftEmptyAreTheDefault) {
  FlagOutcome outcome = Parse({"--listen-client-urls=", "--listen-peer-urls=",
                               "--advertise-client-urls=", "--initial-advertise-peer-urls="});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.listen_client_urls[0].ToString(), "http://localhost:2379");
  EXPECT_EQ(outcome.config.initial_advertise_peer_urls[0].ToString(), "http://localhost:2380");
}

TEST(Flags, WatchesAreNotToldOfProgressAllTheTime) {
  auto interval = [](const std::string& text) {
    return Parse({"--watch-progress-notify-interval=" + text})
        .config.watch_progress_notify_interval;
  };
  EXPECT_EQ(interval("1ms"), std::chrono::milliseconds(100));
  EXPECT_EQ(interval("2s"), std::chrono::seconds(2));
  EXPECT_EQ(interval("0s"), Duration(0)) << "the default";
}

TEST(Flags, ZeroLeavesTheTransportAsItIs) {
  EXPECT_EQ(Parse({"--max-concurrent-streams=0"}).config.max_concurrent_streams, 0xffffffffu);
  for (const char* zero : {"--grpc-keepalive-timeout=0s", "--grpc-keepalive-interval=0s"}) {
    ServerConfig config = Parse({"--grpc-keepalive-interval=1s", zero}).config;
    EXPECT_EQ(config.grpc_keepalive_interval, std::chrono::hours(2)) << zero;
    EXPECT_EQ(config.grpc_keepalive_timeout, std::chrono::seconds(20)) << zero;
  }
}

TEST(Flags, ALogLevelMayBeInCapitals) {
  EXPECT_EQ(Parse({"--log-level=WARN"}).config.log_level, LogLevel::kWarn);
}

TEST(Flags, EachMistakeHasItsOwnMessage) {
  for (const Refusal& refusal : kRefusals) {
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
  using Used = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(outcome.used_variables, (Used{{"ETCD_NAME", "m9"}}));
}

TEST(Flags, FlagAndVariableTogetherAreRefused) {
  FlagOutcome outcome = Parse({"--name=a"}, {{"ETCD_NAME", "b"}});
  EXPECT_EQ(outcome.kind, Kind::kShadowed);
  EXPECT_EQ(outcome.text, "ETCD_NAME");
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

// Of all releases from 3.4 on.
constexpr char kFlagsOfEtcd[] =
    "name data-dir wal-dir snapshot-count snapshot-catchup-entries max-snapshots max-wals "
    "heartbeat-interval election-timeout initial-election-tick-advance pre-vote "
    "quota-backend-bytes backend-batch-interval backend-batch-limit backend-bbolt-freelist-type "
    "memory-mlock bootstrap-defrag-threshold-megabytes auto-compaction-mode "
    "auto-compaction-retention compaction-batch-limit compaction-sleep-interval "
    "listen-peer-urls listen-client-urls listen-client-http-urls listen-metrics-urls "
    "max-txn-ops max-request-bytes max-concurrent-streams grpc-keepalive-min-time "
    "grpc-keepalive-interval grpc-keepalive-timeout socket-reuse-port socket-reuse-address "
    "raft-read-timeout raft-write-timeout enable-grpc-gateway enable-v2 cors host-whitelist "
    "initial-advertise-peer-urls advertise-client-urls initial-cluster initial-cluster-state "
    "initial-cluster-token strict-reconfig-check max-learners discovery discovery-fallback "
    "discovery-proxy discovery-srv discovery-srv-name discovery-endpoints discovery-token "
    "discovery-dial-timeout discovery-request-timeout discovery-keepalive-time "
    "discovery-keepalive-timeout discovery-insecure-transport "
    "discovery-insecure-skip-tls-verify discovery-cert discovery-key discovery-cacert "
    "discovery-user discovery-password cert-file key-file client-cert-file client-key-file "
    "client-cert-auth client-crl-file client-cert-allowed-hostname trusted-ca-file auto-tls "
    "peer-cert-file peer-key-file peer-client-cert-file peer-client-key-file "
    "peer-client-cert-auth peer-trusted-ca-file peer-cert-allowed-cn peer-cert-allowed-hostname "
    "peer-crl-file peer-skip-client-san-verification peer-auto-tls self-signed-cert-validity "
    "cipher-suites tls-min-version tls-max-version auth-token auth-token-ttl bcrypt-cost logger "
    "log-level log-format log-outputs enable-log-rotation log-rotation-config-json log-output "
    "log-package-levels debug metrics enable-pprof enable-distributed-tracing "
    "distributed-tracing-address distributed-tracing-service-name "
    "distributed-tracing-instance-id distributed-tracing-sampling-rate warning-apply-duration "
    "warning-unary-request-duration watch-progress-notify-interval corrupt-check-time "
    "compact-hash-check-time downgrade-check-time feature-gates v2-deprecation "
    "force-new-cluster unsafe-no-fsync proxy proxy-failure-wait proxy-refresh-interval "
    "proxy-dial-timeout proxy-write-timeout proxy-read-timeout "
    "experimental-backend-bbolt-freelist-type experimental-bootstrap-defrag-threshold-megabytes "
    "experimental-compact-hash-check-enabled experimental-compact-hash-check-time "
    "experimental-compaction-batch-limit experimental-compaction-sleep-interval "
    "experimental-corrupt-check-time experimental-distributed-tracing-address "
    "experimental-distributed-tracing-instance-id "
    "experimental-distributed-tracing-sampling-rate "
    "experimental-distributed-tracing-service-name experimental-downgrade-check-time "
    "experimental-enable-distributed-tracing experimental-enable-lease-checkpoint "
    "experimental-enable-lease-checkpoint-persist experimental-enable-v2v3 "
    "experimental-initial-corrupt-check experimental-memory-mlock "
    "experimental-peer-skip-client-san-verification experimental-snapshot-catchup-entries "
    "experimental-stop-grpc-service-on-defrag experimental-txn-mode-write-with-shared-buffer "
    "experimental-warning-apply-duration experimental-warning-unary-request-duration "
    "experimental-watch-progress-notify-interval cluster-active-size cluster-remove-delay "
    "cluster-sync-interval config force max-result-buffer max-retry-attempts "
    "peer-heartbeat-interval peer-election-timeout retry-interval snapshot v vv "
    "test.coverprofile test.outputdir";

TEST(Flags, EveryFlagOfEtcdIsKnown) {
  const std::vector<std::string> names = absl::StrSplit(kFlagsOfEtcd, ' ');
  for (const std::string& name : names) {
    FlagOutcome outcome = Parse({"--" + name + "="});
    EXPECT_EQ(outcome.text.find("not defined"), std::string::npos) << name;
    FlagOutcome variable = Parse({}, {{"ETCD_UNKNOWN", "x"}, {EnvironmentName(name), "?"}});
    for (const std::string& warning : variable.warnings) {
      EXPECT_EQ(warning.find(EnvironmentName(name)), std::string::npos) << warning;
    }
  }
}

TEST(Flags, WhatHasNoEffectIsSaidOnce) {
  FlagOutcome outcome = Parse({"--logger=zap", "--pre-vote", "--enable-pprof=0", "--proxy=off",
                               "--auth-token", "simple", "--max-wals=9"});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_TRUE(outcome.warnings.empty()) << outcome.warnings[0];
  outcome =
      Parse({"--pre-vote=F", "--enable-v2", "--experimental-backend-bbolt-freelist-type=map"});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.warnings,
            (std::vector<std::string>{
                "--enable-v2=true has no effect: this release has no v2 API",
                "--pre-vote=false has no effect: elections always begin with a pre-vote"}));
}

TEST(Flags, WhatIsMissingIsRefused) {
  for (const char* word : {"--cert-file=/x", "--auto-tls", "--peer-client-cert-auth=true",
                           "--discovery-srv=example.org", "--auth-token=jwt,sign-method=RS256",
                           "--proxy=on", "--wal-dir=/wal", "--enable-log-rotation"}) {
    FlagOutcome outcome = Parse({word});
    EXPECT_EQ(outcome.kind, Kind::kInvalid) << word;
    EXPECT_NE(outcome.text.find("is not supported: "), std::string::npos) << outcome.text;
  }
}

TEST(Flags, FormerNamesMeanTheSame) {
  FlagOutcome outcome = Parse({"--experimental-watch-progress-notify-interval=5s"},
                              {{"ETCD_EXPERIMENTAL_MAX_LEARNERS", "3"}});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.watch_progress_notify_interval, std::chrono::seconds(5));
  EXPECT_EQ(outcome.config.max_learners, 3u);
  EXPECT_EQ(Parse({"--experimental-corrupt-check-time=1s", "--corrupt-check-time=1s"}).text,
            "cannot set --experimental-corrupt-check-time and --corrupt-check-time at the same "
            "time, please use --corrupt-check-time only");
}

TEST(Flags, FeatureGates) {
  FlagOutcome outcome =
      Parse({"--feature-gates=InitialCorruptCheck=true,LeaseCheckpoint=true,PriorityRequest=true"});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_TRUE(outcome.config.initial_corrupt_check);
  EXPECT_TRUE(outcome.config.lease_checkpoint);
  EXPECT_TRUE(Parse({"--feature-gates=AllAlpha=true"}).config.lease_checkpoint_persist);
  EXPECT_NE(Parse({"--feature-gates=Fancy=true"}).text.find("unrecognized feature gate: Fancy"),
            std::string::npos);
  EXPECT_NE(Parse({"--feature-gates=LeaseCheckpoint"}).text.find("wants =true or =false"),
            std::string::npos);
  EXPECT_NE(
      Parse({"--feature-gates=LeaseCheckpoint=true", "--experimental-enable-lease-checkpoint"})
          .text.find("please use --feature-gates only"),
      std::string::npos);
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

// As scripts write it that leave a variable empty.
TEST(CompactionFlags, NoRetentionIsNone) {
  FlagOutcome outcome = Parse({"--auto-compaction-retention="});
  ASSERT_EQ(outcome.kind, Kind::kRun) << outcome.text;
  EXPECT_EQ(outcome.config.compaction_period, Duration::zero());
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
