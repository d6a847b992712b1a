// SPDX-License-Identifier: Apache-2.0
// ServerConfig: what a member is started with: values, etcd's defaults, and the checks that involve
// more than one of them. Filled by flags.h from the command line, the environment or a file.
// Values, any thread.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/url.h"
#include "store/server/default_host.h"
#include "store/server/notify.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace store::server {

inline constexpr const char* kDefaultClientUrl = "http://localhost:2379";
inline constexpr const char* kDefaultPeerUrl = "http://localhost:2380";
inline constexpr int64_t kDefaultQuotaBytes = 2LL << 30;
inline constexpr uint64_t kWalSegmentBytesMin = 1 << 20;
inline constexpr uint64_t kWalSegmentBytesMax = 1 << 30;

enum class CompactionMode : uint8_t { kPeriodic, kRevision };
enum class ClusterState : uint8_t { kNew, kExisting };

struct ServerConfig {
  std::string name = "default";
  std::string data_dir;                 // empty: <name>.etcd
  std::vector<Url> listen_client_urls;  // empty: the default
  std::vector<Url> listen_client_http_urls;
  std::vector<Url> listen_metrics_urls;
  std::vector<Url> advertise_client_urls;
  std::vector<Url> listen_peer_urls;
  std::vector<Url> initial_advertise_peer_urls;
  std::string initial_cluster;  // name=url,...; empty: this member alone
  ClusterState initial_cluster_state = ClusterState::kNew;
  std::string initial_cluster_token = "etcd-cluster";
  bool strict_reconfig_check = true;
  bool force_new_cluster = false;
  bool initial_corrupt_check = false;
  Duration corrupt_check_time{0};  // 0: off
  bool lease_checkpoint = false;
  bool lease_checkpoint_persist = false;  // they always are, as in 3.6
  Duration lease_checkpoint_interval = std::chrono::minutes(5);
  uint32_t max_learners = 1;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kJson;
  std::vector<std::string> log_outputs = {"default"};
  int64_t quota_backend_bytes = 0;  // 0: 2 GiB, negative: none
  uint64_t max_request_bytes = 1'572'864;
  uint64_t max_txn_ops = 128;
  uint32_t max_concurrent_streams = 0xffffffff;
  Duration grpc_keepalive_min_time = std::chrono::seconds(5);
  Duration grpc_keepalive_interval = std::chrono::hours(2);
  Duration grpc_keepalive_timeout = std::chrono::seconds(20);
  Duration watch_progress_notify_interval{0};  // 0: ten minutes
  CompactionMode auto_compaction_mode = CompactionMode::kPeriodic;
  std::string auto_compaction_retention = "0";
  uint64_t snapshot_count = 10'000;  // log entries kept for members that were briefly away
  uint64_t wal_segment_bytes = 64 << 20;
  int64_t heartbeat_interval_ms = 100;
  int64_t election_timeout_ms = 1000;
  ServiceManager service_manager;  // from the environment

  // Made by Finish:
  std::string detected_host;  // told to the others in place of 0.0.0.0; empty: there was no need
  std::map<std::string, std::vector<Url>> bootstrap_members;  // initial_cluster, by name; or none
  Duration compaction_period{0};                              // periodic mode; 0: off
  int64_t compaction_revisions = 0;                           // revision mode; 0: off

  // Fills in what follows from other values, then checks them together. kInvalidArgument with
  // etcd's wording.
  Status Finish(DefaultHost default_host = FindDefaultHost);
  // Of the flags that only a new directory is started by: the initial cluster can be read and this
  // member is in it, with the URLs it says of itself unless it joins. An existing one may have
  // moved or have another name since, as in etcd.
  Status CheckFirstStart() const;
  Duration election_timeout() const { return std::chrono::milliseconds(election_timeout_ms); }
  // Proposals and linearizable reads wait this long: 5 s + 2 election timeouts.
  Duration request_timeout() const { return std::chrono::seconds(5) + 2 * election_timeout(); }
};

// Go's duration syntax: "1h30m", "100ms", "0". kInvalidArgument.
Result<Duration> ParseDuration(std::string_view text);

}  // namespace store::server
