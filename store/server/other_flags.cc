// SPDX-License-Identifier: Apache-2.0
#include "store/server/other_flags.h"

#include <absl/algorithm/container.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <vector>

namespace store::server {
namespace {

using enum OtherFlag::Use;

constexpr std::string_view kState = "the state is RocksDB's, which paces itself";
constexpr std::string_view kTls = "this release has no TLS";
constexpr std::string_view kNoTls = "it concerns TLS, which this release does not have";
constexpr std::string_view kAuth = "this release has no users and roles";
constexpr std::string_view kDiscovery = "members are named by --initial-cluster";
constexpr std::string_view kTracing = "no traces are exported";
constexpr std::string_view kSlow = "slow requests show in the histograms of /metrics";
constexpr std::string_view kProxy = "there is no proxy mode";
constexpr std::string_view kSockets = "ports are always bound with SO_REUSEADDR and never shared";
constexpr std::string_view kAncient = "it had no effect in etcd either";

constexpr OtherFlag kOtherFlags[] = {
    // Storage
    {"wal-dir", "", kMissing, "the log lies in the data directory"},
    {"max-snapshots", "*", kNoEffect, "one snapshot is kept"},
    {"max-wals", "*", kNoEffect, "the log is cut as soon as nobody needs it"},
    {"snapshot-catchup-entries", "5000", kNoEffect, "--snapshot-count is what is kept for members"},
    {"backend-batch-interval", "0|0s", kNoEffect, kState},
    {"backend-batch-limit", "0", kNoEffect, kState},
    {"backend-bbolt-freelist-type", "*", kNoEffect, kState},
    {"bootstrap-defrag-threshold-megabytes", "0", kNoEffect, kState},
    {"compaction-batch-limit", "0|1000", kNoEffect, kState},
    {"compaction-sleep-interval", "0|0s|10ms", kNoEffect, kState},
    {"experimental-txn-mode-write-with-shared-buffer", "*", kNoEffect, kState, FlagKind::kSwitch},
    {"experimental-stop-grpc-service-on-defrag", "false", kNoEffect,
     "calls are answered during a defragmentation", FlagKind::kSwitch},
    {"memory-mlock", "false", kNoEffect, "memory is not locked", FlagKind::kSwitch},
    {"unsafe-no-fsync", "false", kNoEffect, "what is acknowledged is always synced",
     FlagKind::kSwitch},
    // Raft and checks
    {"initial-election-tick-advance", "*", kNoEffect, "a member at boot asks for votes at once",
     FlagKind::kSwitch},
    {"pre-vote", "true", kNoEffect, "elections always begin with a pre-vote", FlagKind::kSwitch},
    {"raft-read-timeout", "*", kNoEffect, "links between members have timeouts of their own"},
    {"raft-write-timeout", "*", kNoEffect, "links between members have timeouts of their own"},
    {"compact-hash-check-time", "1m", kNoEffect, "--corrupt-check-time compares histories",
     FlagKind::kDuration},
    {"experimental-compact-hash-check-enabled", "false", kNoEffect,
     "--corrupt-check-time compares histories", FlagKind::kSwitch},
    {"downgrade-check-time", "*", kNoEffect, "versions are looked at every four seconds"},
    // Serving
    {"enable-grpc-gateway", "false", kNoEffect, "this release has no JSON gateway",
     FlagKind::kSwitch},
    {"enable-v2", "false", kNoEffect, "this release has no v2 API", FlagKind::kSwitch},
    {"experimental-enable-v2v3", "", kMissing, "this release has no v2 API"},
    {"v2-deprecation", "*", kNoEffect, "this release has no v2 API"},
    {"cors", "|*", kMissing, "every origin is allowed"},
    {"host-whitelist", "|*", kMissing, "hosts of requests are not looked at"},
    {"socket-reuse-port", "false", kNoEffect, kSockets, FlagKind::kSwitch},
    {"socket-reuse-address", "*", kNoEffect, kSockets, FlagKind::kSwitch},
    // Log, metrics, tracing
    {"logger", "zap", kNoEffect, "lines are JSON, or text with --log-format=console"},
    {"log-package-levels", "", kNoEffect, "use --log-level"},
    {"debug", "false", kNoEffect, "use --log-level=debug", FlagKind::kSwitch},
    {"enable-log-rotation", "false", kMissing, "let logrotate do it, with copytruncate",
     FlagKind::kSwitch},
    {"log-rotation-config-json", "*", kNoEffect, "it concerns --enable-log-rotation"},
    {"metrics", "basic|extensive", kNoEffect, "histograms are always there"},
    {"enable-pprof", "false", kNoEffect, "use perf", FlagKind::kSwitch},
    {"enable-distributed-tracing", "false", kNoEffect, kTracing, FlagKind::kSwitch},
    {"distributed-tracing-address", "*", kNoEffect, kTracing},
    {"distributed-tracing-service-name", "*", kNoEffect, kTracing},
    {"distributed-tracing-instance-id", "*", kNoEffect, kTracing},
    {"distributed-tracing-sampling-rate", "*", kNoEffect, kTracing},
    {"warning-apply-duration", "100ms", kNoEffect, kSlow},
    {"warning-unary-request-duration", "300ms", kNoEffect, kSlow},
    // Auth and TLS
    {"auth-token", "simple", kMissing, kAuth},
    {"auth-token-ttl", "*", kNoEffect, kAuth},
    {"bcrypt-cost", "*", kNoEffect, kAuth},
    {"cert-file", "", kMissing, kTls},
    {"key-file", "", kMissing, kTls},
    {"client-cert-file", "", kMissing, kTls},
    {"client-key-file", "", kMissing, kTls},
    {"client-cert-auth", "false", kMissing, kTls, FlagKind::kSwitch},
    {"client-crl-file", "", kMissing, kTls},
    {"client-cert-allowed-hostname", "", kMissing, kTls},
    {"trusted-ca-file", "", kMissing, kTls},
    {"auto-tls", "false", kMissing, kTls, FlagKind::kSwitch},
    {"peer-cert-file", "", kMissing, kTls},
    {"peer-key-file", "", kMissing, kTls},
    {"peer-client-cert-file", "", kMissing, kTls},
    {"peer-client-key-file", "", kMissing, kTls},
    {"peer-client-cert-auth", "false", kMissing, kTls, FlagKind::kSwitch},
    {"peer-trusted-ca-file", "", kMissing, kTls},
    {"peer-cert-allowed-cn", "", kMissing, kTls},
    {"peer-cert-allowed-hostname", "", kMissing, kTls},
    {"peer-crl-file", "", kMissing, kTls},
    {"peer-auto-tls", "false", kMissing, kTls, FlagKind::kSwitch},
    {"peer-skip-client-san-verification", "*", kNoEffect, kNoTls, FlagKind::kSwitch},
    {"self-signed-cert-validity", "*", kNoEffect, kNoTls},
    {"cipher-suites", "*", kNoEffect, kNoTls},
    {"tls-min-version", "*", kNoEffect, kNoTls},
    {"tls-max-version", "*", kNoEffect, kNoTls},
    // Discovery and proxies
    {"discovery", "", kMissing, kDiscovery},
    {"discovery-srv", "", kMissing, kDiscovery},
    {"discovery-srv-name", "", kMissing, kDiscovery},
    {"discovery-endpoints", "", kMissing, kDiscovery},
    {"discovery-token", "", kMissing, kDiscovery},
    {"discovery-proxy", "", kMissing, kDiscovery},
    {"discovery-fallback", "*", kNoEffect, kDiscovery},
    {"discovery-dial-timeout", "*", kNoEffect, kDiscovery},
    {"discovery-request-timeout", "*", kNoEffect, kDiscovery},
    {"discovery-keepalive-time", "*", kNoEffect, kDiscovery},
    {"discovery-keepalive-timeout", "*", kNoEffect, kDiscovery},
    {"discovery-insecure-transport", "*", kNoEffect, kDiscovery, FlagKind::kSwitch},
    {"discovery-insecure-skip-tls-verify", "*", kNoEffect, kDiscovery, FlagKind::kSwitch},
    {"discovery-cert", "", kMissing, kDiscovery},
    {"discovery-key", "", kMissing, kDiscovery},
    {"discovery-cacert", "", kMissing, kDiscovery},
    {"discovery-user", "", kMissing, kDiscovery},
    {"discovery-password", "", kMissing, kDiscovery},
    {"proxy", "off", kMissing, kProxy},
    {"proxy-failure-wait", "*", kNoEffect, kProxy},
    {"proxy-refresh-interval", "*", kNoEffect, kProxy},
    {"proxy-dial-timeout", "*", kNoEffect, kProxy},
    {"proxy-write-timeout", "*", kNoEffect, kProxy},
    {"proxy-read-timeout", "*", kNoEffect, kProxy},
    // What etcd itself only tolerates
    {"cluster-active-size", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"cluster-remove-delay", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"cluster-sync-interval", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"config", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"force", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"max-result-buffer", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"max-retry-attempts", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"peer-heartbeat-interval", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"peer-election-timeout", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"retry-interval", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"snapshot", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"v", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"vv", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"test.coverprofile", "", kNoEffect, kAncient, FlagKind::kSwitch},
    {"test.outputdir", "", kNoEffect, kAncient, FlagKind::kSwitch},
};

bool IsQuiet(const OtherFlag& flag, std::string_view value) {
  if (value.empty() || flag.quiet == "*") return true;
  const std::vector<std::string> quiet = absl::StrSplit(std::string(flag.quiet), '|');
  return absl::c_linear_search(quiet, value);
}

// A switch that may be on or off has many ways to say so.
bool IsOnOrOff(const OtherFlag& flag) { return flag.quiet == "true" || flag.quiet == "false"; }

// What has many ways to be said, in the one of the table.
Result<std::string> Canonical(const OtherFlag& flag, const std::string& given) {
  if (IsOnOrOff(flag) && !given.empty()) {
    auto on = ParseBool(given);
    RETURN_IF_ERROR(on);
    return *on ? "true" : "false";
  }
  if (flag.kind != FlagKind::kDuration) return given;
  auto time = ParseDuration(given);
  if (!time) return Fail(ErrorCode::kInvalidArgument, "parse error");
  // The one there is.
  if (*time <= Duration(0)) {
    return Fail(ErrorCode::kUnsupported, fmt::format("--{} must be >0 (set to {})", flag.name,
                                                     *time == Duration(0) ? "0s" : given));
  }
  return *time == *ParseDuration(flag.quiet) ? std::string(flag.quiet) : given;
}

}  // namespace

std::span<const OtherFlag> OtherFlags() { return kOtherFlags; }

const OtherFlag* FindOtherFlag(std::string_view name) {
  for (const OtherFlag& flag : kOtherFlags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

Result<std::string> JudgeOtherFlag(const OtherFlag& flag, const std::string& given) {
  if (flag.name == "discovery-fallback" && given != "exit" && given != "proxy") {
    return Fail(ErrorCode::kInvalidArgument, "invalid value");
  }
  auto canonical = Canonical(flag, given);
  RETURN_IF_ERROR(canonical);
  const std::string& value = *canonical;
  if (IsQuiet(flag, value)) return std::string();
  if (flag.use == kNoEffect) {
    return fmt::format("--{}={} has no effect: {}", flag.name, value, flag.reason);
  }
  return Fail(ErrorCode::kUnsupported, fmt::format("--{}={} is not supported: {}; leave it out",
                                                   flag.name, value, flag.reason));
}

}  // namespace store::server
