// SPDX-License-Identifier: Apache-2.0
// /metrics of a running member: names, labels and buckets that dashboards, alert rules and etcd's
// own tests ask for. Nobody who reads the code would miss one of them.
#include "store/base/file.h"
#include "store/client/client.h"
#include "store/server/peer_page.h"
#include "store/server/server.h"
#include "tests/unit/base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <sstream>

namespace store::server {
namespace {

using testing::HasSubstr;

constexpr size_t kPageBytesMax = 4 << 20;

class MetricsPage : public testing::Test {
 protected:
  MetricsPage() {
    auto socket = [this](const char* name) {
      return std::vector<Url>{*ParseUrl("unix://" + JoinPath(directory_.path(), name))};
    };
    config_.data_dir = JoinPath(directory_.path(), "data");
    config_.listen_client_urls = config_.advertise_client_urls = socket("client");
    config_.listen_peer_urls = config_.initial_advertise_peer_urls = socket("peer");
    EXPECT_TRUE(config_.Finish());
    auto started = Server::Start(config_, clock_, Logger(),
                                 [](const Error& error) { ADD_FAILURE() << error.ToString(); });
    EXPECT_TRUE(started) << started.error().ToString();
    if (started) server_ = std::move(*started);
    client::ClientOptions options;
    options.endpoints = {config_.listen_client_urls[0].ToString()};
    client_ = std::make_unique<client::Client>(std::move(options));
  }
  ~MetricsPage() override {
    client_->Stop();
    if (server_) server_->Stop();
  }

  std::string Page() {
    auto page = GetPeerPage(config_.listen_client_urls[0].ToString(), "/metrics", raft::NodeId(),
                            kPageBytesMax);
    EXPECT_TRUE(page);
    return page ? "\n" + page->body : "";
  }
  void Put(const std::string& key) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value("value");
    auto put = client_->Put(request);
    EXPECT_TRUE(put) << put.error().ToString();
  }
  void Delete(const std::string& key) {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(key);
    EXPECT_TRUE(client_->DeleteRange(request));
  }

  TempDir directory_;
  SystemClock clock_;
  ServerConfig config_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<client::Client> client_;
};

// The upper bounds of a histogram without labels, as the page writes them.
std::vector<std::string> Buckets(const std::string& page, const std::string& name) {
  std::vector<std::string> bounds;
  const std::string begin = name + "_bucket{le=\"";
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(begin)) continue;
    bounds.push_back(line.substr(begin.size(), line.find('"', begin.size()) - begin.size()));
  }
  return bounds;
}

TEST_F(MetricsPage, CountsAsEtcdDoes) {
  for (const char* key : {"a", "b", "a"}) Put(key);
  for (const char* key : {"b", "nothing"}) Delete(key);
  etcdserverpb::CompactionRequest compaction;
  compaction.set_revision(5);
  compaction.set_physical(true);
  ASSERT_TRUE(client_->Compact(compaction));
  // a's first put, b's put and (collected a moment later) nothing else: b's tombstone is at the
  // target.
  std::string page = Page();
  const TimePoint deadline = clock_.Now() + std::chrono::seconds(10);
  while (page.find("compaction_keys_total 2\n") == std::string::npos && clock_.Now() < deadline) {
    page = Page();
  }
  for (const char* line :
       {"# TYPE etcd_mvcc_put_total counter\netcd_mvcc_put_total 3\n",
        "# TYPE etcd_mvcc_delete_total counter\netcd_mvcc_delete_total 2\n",
        "# TYPE etcd_debugging_mvcc_keys_total gauge\netcd_debugging_mvcc_keys_total 1\n",
        "# TYPE etcd_debugging_mvcc_db_compaction_keys_total counter\n",
        "\netcd_debugging_mvcc_db_compaction_keys_total 2\n",
        "# TYPE etcd_debugging_mvcc_events_total counter\netcd_debugging_mvcc_events_total 0\n",
        "# TYPE etcd_server_has_leader gauge\netcd_server_has_leader 1\n",
        "# TYPE etcd_server_is_leader gauge\netcd_server_is_leader 1\n",
        "# TYPE etcd_server_is_learner gauge\netcd_server_is_learner 0\n",
        "# TYPE etcd_server_quota_backend_bytes gauge\n",
        "\netcd_server_quota_backend_bytes 2147483648\n",
        "# TYPE etcd_disk_defrag_inflight gauge\netcd_disk_defrag_inflight 0\n",
        "# TYPE sluice_engine_memory_bytes gauge\nsluice_engine_memory_bytes{use=\"cache\"} ",
        "\nsluice_engine_memory_bytes{use=\"memtables\"} ", "# TYPE os_fd_used gauge\nos_fd_used ",
        "# TYPE os_fd_limit gauge\nos_fd_limit ",
        "# TYPE process_virtual_memory_max_bytes gauge\nprocess_virtual_memory_max_bytes "}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST_F(MetricsPage, CountsRangesAndTransactions) {
  Put("a");
  etcdserverpb::RangeRequest range;
  range.set_key("a");
  for (const bool serializable : {false, true}) {
    range.set_serializable(serializable);
    ASSERT_TRUE(client_->Range(range));
  }
  // Two ranges, one of a single operation, a compare and a put, a put alone.
  etcdserverpb::TxnRequest reads;
  for (int i = 0; i < 2; ++i) *reads.add_success()->mutable_request_range() = range;
  ASSERT_TRUE(client_->Txn(reads));
  reads.mutable_success()->RemoveLast();
  ASSERT_TRUE(client_->Txn(reads));
  etcdserverpb::TxnRequest guarded;
  auto* put = guarded.add_success()->mutable_request_put();
  put->set_key("a");
  ASSERT_TRUE(client_->Txn(guarded));
  guarded.add_compare()->set_key("a");
  guarded.mutable_compare(0)->set_version(2);
  ASSERT_TRUE(client_->Txn(guarded));
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("# TYPE etcd_mvcc_range_total counter\netcd_mvcc_range_total 5\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE etcd_mvcc_txn_total counter\netcd_mvcc_txn_total 2\n"));
  EXPECT_THAT(page, HasSubstr("\netcd_mvcc_put_total 3\n"));
}

// Without those of other members, which show once there are some.
TEST_F(MetricsPage, HasWhatDashboardsAndAlertRulesAskFor) {
  const std::string page = Page();
  for (const char* name : {"etcd_cluster_version",
                           "etcd_debugging_mvcc_db_compaction_keys_total",
                           "etcd_debugging_mvcc_keys_total",
                           "etcd_debugging_mvcc_slow_watcher_total",
                           "etcd_debugging_mvcc_watch_stream_total",
                           "etcd_debugging_mvcc_watcher_total",
                           "etcd_debugging_snap_save_total_duration_seconds",
                           "etcd_disk_backend_commit_duration_seconds",
                           "etcd_disk_wal_fsync_duration_seconds",
                           "etcd_mvcc_db_total_size_in_bytes",
                           "etcd_mvcc_db_total_size_in_use_in_bytes",
                           "etcd_mvcc_delete_total",
                           "etcd_mvcc_put_total",
                           "etcd_mvcc_range_total",
                           "etcd_mvcc_txn_total",
                           "etcd_network_client_grpc_received_bytes_total",
                           "etcd_network_client_grpc_sent_bytes_total",
                           "etcd_server_has_leader",
                           "etcd_server_health_failures",
                           "etcd_server_heartbeat_send_failures_total",
                           "etcd_server_is_leader",
                           "etcd_server_leader_changes_seen_total",
                           "etcd_server_proposals_applied_total",
                           "etcd_server_proposals_committed_total",
                           "etcd_server_proposals_failed_total",
                           "etcd_server_proposals_pending",
                           "etcd_server_quota_backend_bytes",
                           "etcd_server_slow_apply_total",
                           "etcd_server_slow_read_indexes_total",
                           "etcd_server_version",
                           "grpc_server_started_total",
                           "grpc_server_handled_total",
                           "process_resident_memory_bytes"}) {
    EXPECT_THAT(page, HasSubstr("\n# TYPE " + std::string(name) + " "));
  }
}

// Names in backquotes in the first column of the table "Bounds" of the README.
std::set<std::string> BoundsOfReadme() {
  auto text = ReadFile(STORE_README);
  EXPECT_TRUE(text);
  std::set<std::string> names;
  bool inside = false;
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    inside = line.starts_with("| bound ") || (inside && line.starts_with("|"));
    if (!inside) continue;
    const std::string cell = line.substr(1, line.find('|', 1) - 1);
    for (size_t from = 0; (from = cell.find('`', from)) != std::string::npos;) {
      const size_t to = cell.find('`', from + 1);
      names.insert(cell.substr(from + 1, to - from - 1));
      from = to + 1;
    }
  }
  return names;
}

TEST_F(MetricsPage, HasEachBoundThatIsDocumentedAndNoOther) {
  const std::string page = Page();
  const std::string begin = "\nsluice_bound_limit{bound=\"";
  std::set<std::string> names;
  for (size_t at = 0; (at = page.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    names.insert(page.substr(at, page.find('"', at) - at));
  }
  EXPECT_EQ(names, BoundsOfReadme());
}

TEST_F(MetricsPage, CallsHaveGosLabelsInGosOrder) {
  Put("a");
  const std::string page = Page();
  const std::string put =
      R"({grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1)";
  const std::string watch =
      R"({grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 0)";
  for (const char* name : {"grpc_server_started_total", "grpc_server_msg_received_total",
                           "grpc_server_msg_sent_total"}) {
    EXPECT_THAT(page, HasSubstr("\n" + std::string(name) + put + "\n"));
    EXPECT_THAT(page, HasSubstr("\n" + std::string(name) + watch + "\n"));
  }
  EXPECT_THAT(page, HasSubstr("\ngrpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Put\","
                              "grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\ngrpc_server_handled_total{grpc_code=\"Unavailable\",grpc_method="
                              "\"Watch\",grpc_service=\"grpc.health.v1.Health\",grpc_type="
                              "\"server_stream\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("\netcd_server_client_requests_total{client_api_version=\"unknown\","
                              "type=\"unary\"} 1\n"));
}

TEST_F(MetricsPage, HistogramsHaveEtcdsBuckets) {
  const std::string page = Page();
  const std::vector<std::string> milliseconds = {"0.001", "0.002", "0.004", "0.008", "0.016",
                                                 "0.032", "0.064", "0.128", "0.256", "0.512",
                                                 "1.024", "2.048", "4.096", "8.192", "+Inf"};
  for (const char* name :
       {"etcd_disk_wal_fsync_duration_seconds", "etcd_disk_backend_commit_duration_seconds",
        "etcd_debugging_snap_save_total_duration_seconds"}) {
    EXPECT_EQ(Buckets(page, name), milliseconds) << name;
    EXPECT_THAT(page, HasSubstr("# TYPE " + std::string(name) + " histogram\n"));
  }
  auto bounds = Buckets(page, "etcd_disk_backend_defrag_duration_seconds");
  ASSERT_EQ(bounds.size(), 14u);
  EXPECT_EQ(bounds.front(), "0.1");
  EXPECT_EQ(bounds[12], "409.6");
  for (const char* name :
       {"etcd_mvcc_hash_duration_seconds", "etcd_mvcc_hash_rev_duration_seconds"}) {
    bounds = Buckets(page, name);
    ASSERT_EQ(bounds.size(), 16u) << name;
    EXPECT_EQ(bounds.front(), "0.01") << name;
    EXPECT_EQ(bounds[14], "163.84") << name;
  }
}

TEST_F(MetricsPage, SlowWorkIsTimed) {
  Put("a");
  ASSERT_TRUE(client_->HashKV(0));
  ASSERT_TRUE(client_->Hash());
  ASSERT_TRUE(client_->Defragment());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("\netcd_mvcc_hash_rev_duration_seconds_count 1\n"));
  EXPECT_THAT(page, HasSubstr("\netcd_mvcc_hash_duration_seconds_count 1\n"));
  EXPECT_THAT(page, HasSubstr("\netcd_disk_backend_defrag_duration_seconds_count 1\n"));
}

}  // namespace
}  // namespace store::server
