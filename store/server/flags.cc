// SPDX-License-Identifier: Apache-2.0
#include "store/server/flags.h"

#include "store/cluster/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

namespace store::server {
namespace {

using Setter = Status (*)(ServerConfig& config, const std::string& value);

struct Flag {
  std::string_view name;
  std::string_view default_text;
  std::string_view help;
  Setter set;
  bool is_bool = false;  // may stand without a value
};

Status BadValue(const char* reason) { return Fail(ErrorCode::kInvalidArgument, reason); }

template <auto Member>
Status SetText(ServerConfig& config, const std::string& value) {
  config.*Member = value;
  return Ok();
}

template <auto Member>
Status SetNumber(ServerConfig& config, const std::string& value) {
  auto& target = config.*Member;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), target);
  if (error == std::errc::result_out_of_range) return BadValue("value out of range");
  if (error != std::errc() || end != value.data() + value.size()) return BadValue("parse error");
  return Ok();
}

// As Go's strconv.ParseBool; the flag alone means true (ParseFlags).
template <auto Member>
Status SetBool(ServerConfig& config, const std::string& value) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (value == yes) return config.*Member = true, Ok();
  }
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (value == no) return config.*Member = false, Ok();
  }
  return BadValue("parse error");
}

template <auto Member>
Status SetDuration(ServerConfig& config, const std::string& value) {
  auto duration = ParseDuration(value);
  if (!duration || *duration < Duration(0)) return BadValue("parse error");
  config.*Member = *duration;
  return Ok();
}

template <auto Member>
Status SetUrls(ServerConfig& config, const std::string& value) {
  auto urls = ParseUrls(value);
  if (!urls) return Fail(urls.error());
  config.*Member = std::move(*urls);
  return Ok();
}

Status SetClusterState(ServerConfig& config, const std::string& value) {
  if (value != "new" && value != "existing") return BadValue("must be new or existing");
  config.initial_cluster_state = value == "new" ? ClusterState::kNew : ClusterState::kExisting;
  return Ok();
}

Status SetCompactionMode(ServerConfig& config, const std::string& value) {
  if (value.empty()) return BadValue("undefined auto-compaction-mode");
  if (value != "periodic" && value != "revision") {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("unknown auto-compaction-mode \"{}\"", value));
  }
  config.auto_compaction_mode =
      value == "periodic" ? CompactionMode::kPeriodic : CompactionMode::kRevision;
  return Ok();
}

Status SetLogLevel(ServerConfig& config, const std::string& value) {
  auto level = ParseLogLevel(value);
  if (!level) {
    return BadValue("unknown log level; use debug, info, warn, error, panic or fatal");
  }
  config.log_level = *level;
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
    {"auto-compaction-mode", "'periodic'",
     "'periodic' keeps a time, 'revision' keeps a number of revisions.", SetCompactionMode},
    {"auto-compaction-retention", "'0'", "What automatic compaction keeps; 0 turns it off.",
     SetText<&ServerConfig::auto_compaction_retention>},
    {"listen-client-urls", "'http://localhost:2379'", "URLs to listen on for clients.",
     SetUrls<&ServerConfig::listen_client_urls>},
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
     SetBool<&ServerConfig::strict_reconfig_check>, /*is_bool=*/true},
    {"max-learners", "'1'", "Most learners in the cluster.",
     SetNumber<&ServerConfig::max_learners>},
    {"experimental-max-learners", "'1'", "The same, by its former name.",
     SetNumber<&ServerConfig::max_learners>},
    {"experimental-initial-corrupt-check", "'false'",
     "Compare this member's history with the others' before it serves.",
     SetBool<&ServerConfig::initial_corrupt_check>, /*is_bool=*/true},
    {"corrupt-check-time", "'0s'", "How often the leader compares all histories; 0 turns it off.",
     SetDuration<&ServerConfig::corrupt_check_time>},
    {"experimental-corrupt-check-time", "'0s'", "The same, by its former name.",
     SetDuration<&ServerConfig::corrupt_check_time>},
    {"experimental-enable-lease-checkpoint", "'false'",
     "Let what is left of long leases survive a change of the leader.",
     SetBool<&ServerConfig::lease_checkpoint>, /*is_bool=*/true},
    {"experimental-enable-lease-checkpoint-persist", "'false'",
     "Accepted; checkpoints are always written to the state.",
     SetBool<&ServerConfig::lease_checkpoint_persist>, /*is_bool=*/true},
    {"lease-checkpoint-interval", "'5m0s'", "How often, and the shortest lease that has any.",
     SetDuration<&ServerConfig::lease_checkpoint_interval>},
    {"force-new-cluster", "'false'",
     "Make this member the only one of its cluster; for the day when the others are lost.",
     SetBool<&ServerConfig::force_new_cluster>, /*is_bool=*/true},
    {"log-level", "'info'", "debug, info, warn, error, panic or fatal.", SetLogLevel},
};

const Flag* FindFlag(std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

std::string Usage() {
  std::string text =
      "Usage:\n\n  sluice-store [flags]\n    Start a member of the store.\n\n"
      "  sluice-store --version\n    Show the version.\n\n"
      "  sluice-store -h | --help\n    Show this text.\n\nFlags (each also as ETCD_NAME):\n";
  for (const Flag& flag : kFlags) {
    text += fmt::format("  --{} {}\n    {}\n", flag.name, flag.default_text, flag.help);
  }
  return text;
}

std::string EnvironmentName(std::string_view flag) {
  std::string name = "ETCD_";
  for (char c : flag) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

FlagOutcome UsageError(const std::string& message) {
  return {FlagOutcome::Kind::kUsage, message + "\n" + Usage(), {}, {}};
}

FlagOutcome Invalid(std::string message) {
  return {FlagOutcome::Kind::kInvalid, std::move(message), {}, {}};
}

// Flags of the command line by name; on a wrong syntax, --help or --version the outcome is set.
std::map<std::string, std::string> Collect(const std::vector<std::string>& arguments,
                                           std::optional<FlagOutcome>* outcome) {
  std::map<std::string, std::string> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (word.size() < 2 || word[0] != '-' || word == "--") {
      *outcome = Invalid(fmt::format("'{}' is not a valid flag", word));
      return given;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    size_t equal = word.find('=');
    std::string name(word.substr(0, equal));
    if (name == "help" || name == "h") {
      *outcome = FlagOutcome{FlagOutcome::Kind::kPrint, Usage(), {}, {}};
      return given;
    }
    if (name == "version") {
      *outcome = FlagOutcome{FlagOutcome::Kind::kPrint, VersionText(), {}, {}};
      return given;
    }
    if (FindFlag(name) == nullptr) {
      *outcome = UsageError(fmt::format("flag provided but not defined: -{}", name));
      return given;
    }
    if (equal == std::string_view::npos && FindFlag(name)->is_bool) {
      given[name] = "true";
      continue;
    }
    if (equal == std::string_view::npos && i + 1 == arguments.size()) {
      *outcome = UsageError(fmt::format("flag needs an argument: -{}", name));
      return given;
    }
    given[name] =
        equal == std::string_view::npos ? arguments[++i] : std::string(word.substr(equal + 1));
  }
  return given;
}

}  // namespace

std::string VersionText() {
  return fmt::format(
      "etcd Version: {}\nGit SHA: Not provided (sluice-store)\nGo Version: none (C++20)\n"
      "Go OS/Arch: linux/amd64\n",
      cluster::kServerVersion);
}

FlagOutcome ParseFlags(const std::vector<std::string>& arguments,
                       const std::map<std::string, std::string>& environment) {
  std::optional<FlagOutcome> ended;
  auto given = Collect(arguments, &ended);
  if (ended) return *std::move(ended);

  FlagOutcome outcome;
  std::set<std::string> known;
  for (const Flag& flag : kFlags) {
    std::string variable = EnvironmentName(flag.name);
    known.insert(variable);
    auto from_command = given.find(std::string(flag.name));
    auto from_environment = environment.find(variable);
    bool in_environment =
        from_environment != environment.end() && !from_environment->second.empty();
    if (from_command != given.end() && in_environment) {
      return Invalid(
          fmt::format("conflicting environment variable is shadowed by corresponding "
                      "command-line flag (either unset environment variable or disable "
                      "flag)): {}",
                      variable));
    }
    if (from_command != given.end()) {
      if (Status set = flag.set(outcome.config, from_command->second); !set) {
        return UsageError(fmt::format("invalid value \"{}\" for flag -{}: {}", from_command->second,
                                      flag.name, set.error().message()));
      }
    } else if (in_environment) {
      if (Status set = flag.set(outcome.config, from_environment->second); !set) {
        return Invalid(fmt::format("invalid value \"{}\" for {}: {}", from_environment->second,
                                   variable, set.error().message()));
      }
    }
  }
  for (const auto& [name, value] : environment) {
    if (name.starts_with("ETCD_") && !known.contains(name)) {
      outcome.warnings.push_back("unrecognized environment variable: " + name);
    }
  }
  if (Status checked = outcome.config.Finish(); !checked) return Invalid(checked.error().message());
  return outcome;
}

}  // namespace store::server
