// SPDX-License-Identifier: Apache-2.0
#include "store/server/flag_table.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

namespace store::server {
namespace {

tl::unexpected<Error> BadValue(std::string reason) {
  return Fail(ErrorCode::kInvalidArgument, std::move(reason));
}

// What etcd finds only when it holds the flags against each other: the reason alone is said, not
// the usage.
tl::unexpected<Error> BadConfig(std::string reason) {
  return Fail(ErrorCode::kUnsupported, std::move(reason));
}

template <auto Member>
Status SetText(ServerConfig& config, const std::string& value) {
  config.*Member = value;
  return Ok();
}

// As Go's strconv.ParseUint with base 0: 0x, 0o, 0b and a leading 0 name the base, and underscores
// may stand between digits and after that prefix.
Result<uint64_t> ParseMagnitude(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char letter = absl::ascii_tolower(static_cast<unsigned char>(text[1]));
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
    text.remove_prefix(base != 8 || letter == 'o' ? 2 : 1);
  }
  const bool prefixed = base != 10;
  if (text.ends_with('_') || (text.starts_with('_') && !prefixed) ||
      text.find("__") != std::string_view::npos || text.starts_with('-')) {
    return BadValue("parse error");
  }
  std::string digits(text);
  std::erase(digits, '_');
  uint64_t number = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  const bool whole = end == digits.data() + digits.size();
  if (whole && error == std::errc::result_out_of_range) return BadValue("value out of range");
  if (!whole || error != std::errc()) return BadValue("parse error");
  return number;
}

template <auto Member>
Status SetNumber(ServerConfig& config, const std::string& value) {
  auto& target = config.*Member;
  using Number = std::remove_reference_t<decltype(target)>;
  std::string_view text = value;
  const bool negative = std::is_signed_v<Number> && text.starts_with('-');
  if (negative || (std::is_signed_v<Number> && text.starts_with('+'))) text.remove_prefix(1);
  auto magnitude = ParseMagnitude(text);
  RETURN_IF_ERROR(magnitude);
  const auto largest = static_cast<uint64_t>(std::numeric_limits<Number>::max());
  if (*magnitude > largest + (negative ? 1 : 0)) return BadValue("value out of range");
  target = static_cast<Number>(negative ? 0 - *magnitude : *magnitude);
  return Ok();
}

template <auto Member>
Status SetBool(ServerConfig& config, const std::string& value) {
  auto parsed = ParseBool(value);
  RETURN_IF_ERROR(parsed);
  config.*Member = *parsed;
  return Ok();
}

template <auto Member>
Status SetDuration(ServerConfig& config, const std::string& value) {
  auto duration = ParseDuration(value);
  if (!duration || *duration < Duration(0)) return BadValue("parse error");
  config.*Member = *duration;
  return Ok();
}

// Empty: the default.
template <auto Member>
Status SetUrls(ServerConfig& config, const std::string& value) {
  if (value.empty()) return (config.*Member).clear(), Ok();
  auto urls = ParseUrls(value);
  if (!urls) return Fail(urls.error());
  config.*Member = std::move(*urls);
  return Ok();
}

// As at etcd never faster than this; a watch would be told of little else.
constexpr Duration kProgressIntervalMin = std::chrono::milliseconds(100);

Status SetProgressInterval(ServerConfig& config, const std::string& value) {
  RETURN_IF_ERROR(SetDuration<&ServerConfig::watch_progress_notify_interval>(config, value));
  Duration& interval = config.watch_progress_notify_interval;
  if (interval != Duration(0)) interval = std::max(interval, kProgressIntervalMin);
  return Ok();
}

Status SetClusterState(ServerConfig& config, const std::string& value) {
  if (value != "new" && value != "existing") return BadValue("invalid value");
  config.initial_cluster_state = value == "new" ? ClusterState::kNew : ClusterState::kExisting;
  return Ok();
}

Status SetCompactionMode(ServerConfig& config, const std::string& value) {
  if (value.empty()) return BadConfig("undefined auto-compaction-mode");
  if (value != "periodic" && value != "revision") {
    return BadConfig(fmt::format("unknown auto-compaction-mode \"{}\"", value));
  }
  config.auto_compaction_mode =
      value == "periodic" ? CompactionMode::kPeriodic : CompactionMode::kRevision;
  return Ok();
}

Status SetLogLevel(ServerConfig& config, const std::string& value) {
  auto level = ParseLogLevel(absl::AsciiStrToLower(value));
  if (!level) {
    return BadValue("unknown log level; use debug, info, warn, error, panic or fatal");
  }
  config.log_level = *level;
  return Ok();
}

Status SetLogFormat(ServerConfig& config, const std::string& value) {
  if (value != "json" && value != "console") {
    return BadConfig(fmt::format("unknown log format: {}, supported values json, console", value));
  }
  config.log_format = value == "json" ? LogFormat::kJson : LogFormat::kConsole;
  return Ok();
}

Status SetLogOutputs(ServerConfig& config, const std::string& value) {
  std::vector<std::string> outputs = absl::StrSplit(value, ',', absl::SkipEmpty());
  if (outputs.empty())
    return BadConfig("--log-outputs: no output is named; use stderr, stdout or a file");
  for (const std::string& one : outputs) {
    if (one == "default" && outputs.size() > 1)
      return BadConfig("--log-outputs: default stands alone");
    if (one == "systemd/journal") {
      return BadConfig(
          "--log-outputs: systemd/journal is not supported; a unit's stderr goes to the journal");
    }
  }
  config.log_outputs = std::move(outputs);
  return Ok();
}

struct Gate {
  std::string_view name;
  bool ServerConfig::* member = nullptr;  // null: nothing here depends on it
};

constexpr Gate kGates[] = {
    {"InitialCorruptCheck", &ServerConfig::initial_corrupt_check},
    {"LeaseCheckpoint", &ServerConfig::lease_checkpoint},
    {"LeaseCheckpointPersist", &ServerConfig::lease_checkpoint_persist},
    {"CompactHashCheck"},
    {"FastLeaseKeepAlive"},
    {"PriorityRequest"},
    {"SetMemberLocalAddr"},
    {"StopGRPCServiceOnDefrag"},
    {"TxnModeWriteWithSharedBuffer"},
};

Status SetGate(ServerConfig& config, std::string_view name, const std::string& value) {
  auto on = ParseBool(value);
  if (!on) return BadValue(fmt::format("{} wants =true or =false", name));
  // Those that change something here are all of the alpha stage.
  const bool all = name == "AllAlpha";
  bool known = all || name == "AllBeta";
  for (const Gate& gate : kGates) {
    if (!all && gate.name != name) continue;
    known = true;
    if (gate.member != nullptr) config.*gate.member = *on;
  }
  return known ? Ok() : BadValue(fmt::format("unrecognized feature gate: {}", name));
}

Status SetFeatureGates(ServerConfig& config, const std::string& value) {
  const std::vector<std::string> items = absl::StrSplit(value, ',', absl::SkipWhitespace());
  for (const std::string& item : items) {
    std::pair<std::string, std::string> gate =
        absl::StrSplit(absl::StripAsciiWhitespace(item), absl::MaxSplits('=', 1));
    RETURN_IF_ERROR(SetGate(config, gate.first, gate.second));
  }
  return Ok();
}

constexpr Flag kFlags[] = {
    {"name", "'default'", "Human-readable name for this member.", SetText<&ServerConfig::name>},
    {"data-dir", "'${name}.etcd'", "Path to the data directory.", SetText<&ServerConfig::data_dir>},
    {"snapshot-count", "'10000'", "Log entries kept for members that were briefly away.",
     SetNumber<&ServerConfig::snapshot_count>},
    {"wal-segment-bytes", "'67108864'",
     "Size of one file of the raft log; smaller for small disks.",
     SetNumber<&ServerConfig::wal_segment_bytes>},
    {"heartbeat-interval", "'100'", "Time (in milliseconds) of a heartbeat interval.",
     SetNumber<&ServerConfig::heartbeat_interval_ms>},
    {"election-timeout", "'1000'", "Time (in milliseconds) for an election to timeout.",
     SetNumber<&ServerConfig::election_timeout_ms>},
    {"quota-backend-bytes", "'0'",
     "Close the store to writes above this size (0: 2 GiB, negative: never).",
     SetNumber<&ServerConfig::quota_backend_bytes>},
    {"max-request-bytes", "'1572864'", "Largest client request in bytes.",
     SetNumber<&ServerConfig::max_request_bytes>},
    {"max-txn-ops", "'128'", "Most operations in one transaction.",
     SetNumber<&ServerConfig::max_txn_ops>},
    {"max-concurrent-streams", "'4294967295'", "Most streams at once of one connection.",
     SetNumber<&ServerConfig::max_concurrent_streams>},
    {"grpc-keepalive-min-time", "'5s'", "A client that pings more often is told to go away.",
     SetDuration<&ServerConfig::grpc_keepalive_min_time>, FlagKind::kDuration},
    {"grpc-keepalive-interval", "'2h'", "A silent connection is pinged after this time.",
     SetDuration<&ServerConfig::grpc_keepalive_interval>, FlagKind::kDuration},
    {"grpc-keepalive-timeout", "'20s'", "A connection whose ping is not answered is closed.",
     SetDuration<&ServerConfig::grpc_keepalive_timeout>, FlagKind::kDuration},
    {"watch-progress-notify-interval", "'0s'",
     "How often a watch that asked for it is told of progress (0: 10m).", SetProgressInterval,
     FlagKind::kDuration},
    {"auto-compaction-mode", "'periodic'",
     "'periodic' keeps a time, 'revision' keeps a number of revisions.", SetCompactionMode},
    {"auto-compaction-retention", "'0'", "What automatic compaction keeps; 0 turns it off.",
     SetText<&ServerConfig::auto_compaction_retention>},
    {"listen-client-urls", "'http://localhost:2379'", "URLs to listen on for clients.",
     SetUrls<&ServerConfig::listen_client_urls>},
    {"listen-client-http-urls", "''", "More URLs to listen on for clients.",
     SetUrls<&ServerConfig::listen_client_http_urls>},
    {"listen-metrics-urls", "''", "URLs for /metrics and /health alone.",
     SetUrls<&ServerConfig::listen_metrics_urls>},
    {"advertise-client-urls", "'http://localhost:2379'",
     "Client URLs told to the rest of the cluster.", SetUrls<&ServerConfig::advertise_client_urls>},
    {"listen-peer-urls", "'http://localhost:2380'", "URLs to listen on for other members.",
     SetUrls<&ServerConfig::listen_peer_urls>},
    {"initial-advertise-peer-urls", "'http://localhost:2380'",
     "Peer URLs told to the rest of the cluster.",
     SetUrls<&ServerConfig::initial_advertise_peer_urls>},
    {"initial-cluster", "'default=http://localhost:2380'",
     "Bootstrap configuration: name=peer-url,...", SetText<&ServerConfig::initial_cluster>},
    {"initial-cluster-state", "'new'", "'new' or 'existing'.", SetClusterState},
    {"initial-cluster-token", "'etcd-cluster'", "Token that keeps clusters apart at bootstrap.",
     SetText<&ServerConfig::initial_cluster_token>},
    {"strict-reconfig-check", "'true'",
     "Refuse changes of the membership that would cost the quorum.",
     SetBool<&ServerConfig::strict_reconfig_check>, FlagKind::kSwitch},
    {"max-learners", "'1'", "Most learners in the cluster.",
     SetNumber<&ServerConfig::max_learners>},
    {"experimental-initial-corrupt-check", "'false'",
     "Compare this member's history with the others' before it serves.",
     SetBool<&ServerConfig::initial_corrupt_check>, FlagKind::kSwitch},
    {"corrupt-check-time", "'0s'", "How often the leader compares all histories; 0 turns it off.",
     SetDuration<&ServerConfig::corrupt_check_time>, FlagKind::kDuration},
    {"experimental-enable-lease-checkpoint", "'false'",
     "Let what is left of long leases survive a change of the leader.",
     SetBool<&ServerConfig::lease_checkpoint>, FlagKind::kSwitch},
    {"experimental-enable-lease-checkpoint-persist", "'false'",
     "Accepted; checkpoints are always written to the state.",
     SetBool<&ServerConfig::lease_checkpoint_persist>, FlagKind::kSwitch},
    {"lease-checkpoint-interval", "'5m0s'", "How often, and the shortest lease that has any.",
     SetDuration<&ServerConfig::lease_checkpoint_interval>, FlagKind::kDuration},
    {"force-new-cluster", "'false'",
     "Make this member the only one of its cluster; for the day when the others are lost.",
     SetBool<&ServerConfig::force_new_cluster>, FlagKind::kSwitch},
    {"log-level", "'info'", "debug, info, warn, error, panic or fatal.", SetLogLevel},
    {"log-format", "'json'", "json or console.", SetLogFormat},
    {"log-outputs", "'default'", "stderr (the default), stdout, or files to append to.",
     SetLogOutputs},
    {"feature-gates", "''",
     "NAME=true|false,...: InitialCorruptCheck, LeaseCheckpoint, LeaseCheckpointPersist.",
     SetFeatureGates},
};

constexpr FormerName kFormerNames[] = {
    {"experimental-max-learners", "max-learners"},
    {"experimental-corrupt-check-time", "corrupt-check-time"},
    {"experimental-watch-progress-notify-interval", "watch-progress-notify-interval"},
    {"log-output", "log-outputs"},
    {"experimental-backend-bbolt-freelist-type", "backend-bbolt-freelist-type"},
    {"experimental-bootstrap-defrag-threshold-megabytes", "bootstrap-defrag-threshold-megabytes"},
    {"experimental-compact-hash-check-time", "compact-hash-check-time"},
    {"experimental-compaction-batch-limit", "compaction-batch-limit"},
    {"experimental-compaction-sleep-interval", "compaction-sleep-interval"},
    {"experimental-distributed-tracing-address", "distributed-tracing-address"},
    {"experimental-distributed-tracing-instance-id", "distributed-tracing-instance-id"},
    {"experimental-distributed-tracing-sampling-rate", "distributed-tracing-sampling-rate"},
    {"experimental-distributed-tracing-service-name", "distributed-tracing-service-name"},
    {"experimental-downgrade-check-time", "downgrade-check-time"},
    {"experimental-enable-distributed-tracing", "enable-distributed-tracing"},
    {"experimental-memory-mlock", "memory-mlock"},
    {"experimental-peer-skip-client-san-verification", "peer-skip-client-san-verification"},
    {"experimental-snapshot-catchup-entries", "snapshot-catchup-entries"},
    {"experimental-warning-apply-duration", "warning-apply-duration"},
    {"experimental-warning-unary-request-duration", "warning-unary-request-duration"},
};

}  // namespace

Result<bool> ParseBool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return BadValue("parse error");
}

std::span<const Flag> Flags() { return kFlags; }

const Flag* FindFlag(std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

std::span<const FormerName> FormerNames() { return kFormerNames; }

std::string_view PresentName(std::string_view name) {
  for (const FormerName& one : kFormerNames) {
    if (one.former == name) return one.now;
  }
  return name;
}

}  // namespace store::server
