// SPDX-License-Identifier: Apache-2.0
#include "store/server/config.h"

#include <absl/algorithm/container.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

namespace store::server {
namespace {

tl::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::vector<Url> OneUrl(const char* text) { return {*ParseUrl(text)}; }

// A listening socket binds an address, not a name; localhost is the one name that always means the
// same.
Status CheckBindable(const std::vector<Url>& urls) {
  for (const Url& url : urls) {
    if (url.is_unix() || url.host == "localhost" || IsIpAddress(url.host)) continue;
    return Refuse(fmt::format("expected IP in URL for binding ({})", url.ToString()));
  }
  return Ok();
}

std::string Join(const std::vector<Url>& urls) {
  std::string text;
  for (const Url& url : urls) text += (text.empty() ? "" : ",") + url.ToString();
  return text;
}

Status CheckAdvertised(const std::vector<Url>& urls, const char* flag) {
  for (const Url& url : urls) {
    if (url.is_unix() || !url.host.empty()) continue;
    return Refuse(fmt::format("--{} \"{}\" must be \"host:port\" (unexpected empty host ({}))",
                              flag, Join(urls), url.ToString()));
  }
  return Ok();
}

// Who listens everywhere is reached at the address of the default route; without one, by this
// machine alone.
void DerivePeerUrls(DefaultHost default_host, ServerConfig* config) {
  std::vector<Url> urls =
      config->listen_peer_urls.empty() ? OneUrl(kDefaultPeerUrl) : config->listen_peer_urls;
  for (Url url : urls) {
    if (url.host == "0.0.0.0" || url.host == "::") {
      auto found = default_host();
      url.host = found.value_or("localhost");
      if (found) config->detected_host = *found;
    }
    std::vector<Url>& derived = config->initial_advertise_peer_urls;
    if (!absl::c_linear_search(derived, url)) derived.push_back(std::move(url));
  }
}

Result<std::map<std::string, std::vector<Url>>> ParseCluster(const std::string& text) {
  std::map<std::string, std::vector<Url>> members;
  std::set<Url> seen;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    size_t equal = item.find('=');
    if (equal == std::string_view::npos || equal == 0) {
      return Refuse(fmt::format("--initial-cluster: \"{}\" is not name=peer-url", item));
    }
    auto url = ParseUrl(item.substr(equal + 1));
    if (!url) return Fail(url.error().WithContext("--initial-cluster"));
    if (!seen.insert(*url).second) {
      return Refuse(
          fmt::format("initial cluster \"{}\" has duplicate url {}", text, url->ToString()));
    }
    members[std::string(item.substr(0, equal))].push_back(std::move(*url));
  }
  return members;
}

Status CheckTimes(const ServerConfig& config) {
  int64_t heartbeat = config.heartbeat_interval_ms;
  int64_t election = config.election_timeout_ms;
  if (heartbeat <= 0) {
    return Refuse(fmt::format("--heartbeat-interval must be >0 (set to {}ms)", heartbeat));
  }
  if (election <= 0) {
    return Refuse(fmt::format("--election-timeout must be >0 (set to {}ms)", election));
  }
  if (election < 5 * heartbeat) {
    return Refuse(
        fmt::format("--election-timeout[{}ms] should be at least as 5 times as "
                    "--heartbeat-interval[{}ms]",
                    election, heartbeat));
  }
  if (election > 50'000) {
    return Refuse(fmt::format(
        "--election-timeout[{}ms] is too long, and should be set less than 50000ms", election));
  }
  return Ok();
}

// As at etcd zero means as if the flag were not there, not calls that never begin and connections
// that are given up at once.
void FillTransport(ServerConfig& config) {
  const ServerConfig defaults;
  if (config.max_concurrent_streams == 0) {
    config.max_concurrent_streams = defaults.max_concurrent_streams;
  }
  if (config.grpc_keepalive_interval == Duration(0) ||
      config.grpc_keepalive_timeout == Duration(0)) {
    config.grpc_keepalive_interval = defaults.grpc_keepalive_interval;
    config.grpc_keepalive_timeout = defaults.grpc_keepalive_timeout;
  }
}

Status SetCompaction(ServerConfig& config) {
  if (config.auto_compaction_retention.empty()) return Ok();
  const std::string& text = config.auto_compaction_retention;
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool is_number = error == std::errc() && end == text.data() + text.size();
  if (config.auto_compaction_mode == CompactionMode::kRevision) {
    if (!is_number || number < 0) {
      return Refuse(
          fmt::format("--auto-compaction-retention \"{}\" is not a number of revisions", text));
    }
    config.compaction_revisions = number;
    return Ok();
  }
  // A bare number means hours, as it did before durations were accepted.
  Result<Duration> period =
      is_number ? Result<Duration>(std::chrono::hours(number)) : ParseDuration(text);
  if (!period || *period < Duration::zero()) {
    return Refuse(
        fmt::format("--auto-compaction-retention \"{}\" is neither hours nor a duration", text));
  }
  config.compaction_period = *period;
  return Ok();
}

}  // namespace

Status ServerConfig::Finish(DefaultHost default_host) {
  if (name.empty()) return Refuse("--name must not be empty");
  if (data_dir.empty()) data_dir = name + ".etcd";
  if (!listen_client_urls.empty() && advertise_client_urls.empty()) {
    return Refuse(
        "--advertise-client-urls is required when --listen-client-urls is set explicitly");
  }
  if (listen_client_urls.empty()) listen_client_urls = OneUrl(kDefaultClientUrl);
  if (advertise_client_urls.empty()) advertise_client_urls = OneUrl(kDefaultClientUrl);
  if (initial_advertise_peer_urls.empty()) DerivePeerUrls(default_host, this);
  if (listen_peer_urls.empty()) listen_peer_urls = OneUrl(kDefaultPeerUrl);
  RETURN_IF_ERROR(CheckBindable(listen_client_urls));
  RETURN_IF_ERROR(CheckBindable(listen_peer_urls));
  RETURN_IF_ERROR(CheckBindable(listen_client_http_urls));
  RETURN_IF_ERROR(CheckBindable(listen_metrics_urls));
  for (const Url& url : listen_client_http_urls) {
    if (!absl::c_linear_search(listen_client_urls, url)) continue;
    return Refuse(fmt::format(
        "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url {}",
        url.ToString()));
  }
  RETURN_IF_ERROR(CheckAdvertised(advertise_client_urls, "advertise-client-urls"));
  RETURN_IF_ERROR(CheckAdvertised(initial_advertise_peer_urls, "initial-advertise-peer-urls"));
  if (initial_cluster.empty()) {
    bootstrap_members = {{name, initial_advertise_peer_urls}};
  } else {
    bootstrap_members.clear();
    // A first start says what is wrong with it.
    if (auto members = ParseCluster(initial_cluster)) bootstrap_members = std::move(*members);
  }
  RETURN_IF_ERROR(CheckTimes(*this));
  FillTransport(*this);
  if (lease_checkpoint_persist && !lease_checkpoint) {
    return Refuse(
        "enabling feature gate LeaseCheckpointPersist requires enabling feature gate "
        "LeaseCheckpoint");
  }
  if (lease_checkpoint_interval < std::chrono::seconds(1)) {
    return Refuse("--lease-checkpoint-interval must be at least 1s");
  }
  if (wal_segment_bytes < kWalSegmentBytesMin || wal_segment_bytes > kWalSegmentBytesMax) {
    return Refuse(fmt::format("--wal-segment-bytes must be between {} and {}", kWalSegmentBytesMin,
                              kWalSegmentBytesMax));
  }
  return SetCompaction(*this);
}

Status ServerConfig::CheckFirstStart() const {
  if (!initial_cluster.empty()) RETURN_IF_ERROR(ParseCluster(initial_cluster));
  auto own = bootstrap_members.find(name);
  if (own == bootstrap_members.end()) {
    return Refuse(
        fmt::format("couldn't find local name \"{}\" in the initial cluster configuration", name));
  }
  // One that joins has been announced with its URLs, and is known by those.
  if (initial_cluster_state == ClusterState::kExisting) return Ok();
  std::vector<Url> in_cluster = own->second;
  std::vector<Url> advertised = initial_advertise_peer_urls;
  std::sort(in_cluster.begin(), in_cluster.end());
  std::sort(advertised.begin(), advertised.end());
  if (in_cluster == advertised) return Ok();
  return Refuse(fmt::format("--initial-cluster has {}={} but --initial-advertise-peer-urls is {}",
                            name, Join(in_cluster), Join(advertised)));
}

Result<Duration> ParseDuration(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
  auto refuse = [&] { return Refuse(fmt::format("invalid duration \"{}\"", text)); };
  if (text == "0") return Duration::zero();
  std::string_view rest = text;
  bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty()) return refuse();
  double total = 0;
  while (!rest.empty()) {
    double number = 0;
    auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0) return refuse();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    // Two-letter units stand before their last letter in the table, so the first match is the right
    // one.
    auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                             [&](const auto& u) { return rest.starts_with(u.first); });
    if (unit == std::end(kUnits)) return refuse();
    rest.remove_prefix(unit->first.size());
    total += number * unit->second;
  }
  if (total > 9e18) return refuse();
  auto nanos = static_cast<int64_t>(std::llround(total));
  return Duration(negative ? -nanos : nanos);
}

}  // namespace store::server
