// SPDX-License-Identifier: Apache-2.0
// The client library against a real etcd: what it reads and writes, and what it does when the
// server goes.
#include "store/base/thread.h"
#include "store/client/client.h"
#include "store/client/watcher.h"
#include "tests/agent/child_process.h"
#include "tests/agent/etcd_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <signal.h>
#include <string>
#include <thread>
#include <vector>

namespace logagent::testing {
namespace {

using store::ErrorCode;
using store::Mutex;
using store::MutexLock;
using store::client::Client;
using store::client::ClientOptions;
using store::client::WatchedKey;
using store::client::Watcher;
using store::client::WatcherOptions;

namespace pb = etcdserverpb;

class StoreClientTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.Start()) << server_.process().Output(); }

  ClientOptions Options() {
    ClientOptions options;
    options.endpoints = {server_.endpoint()};
    return options;
  }
  static pb::PutRequest PutOf(const std::string& key, const std::string& value) {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return request;
  }
  static pb::RangeRequest RangeOf(const std::string& key) {
    pb::RangeRequest request;
    request.set_key(key);
    return request;
  }

  ScratchDirectory scratch_;
  EtcdServer server_{scratch_.path()};
};

// What a watcher reported, as a map that follows it.
class Mirror {
 public:
  store::client::WatchHandlers Handlers() {
    store::client::WatchHandlers handlers;
    handlers.on_snapshot = [this](std::vector<WatchedKey> keys, int64_t) {
      MutexLock lock(mutex_);
      ++snapshots_;
      values_.clear();
      for (auto& key : keys) values_[key.key] = key.value;
    };
    handlers.on_events = [this](std::vector<WatchedKey> events) {
      MutexLock lock(mutex_);
      for (auto& event : events) {
        EXPECT_GT(event.mod_revision, last_revision_);
        last_revision_ = event.mod_revision;
        if (event.deleted) values_.erase(event.key);
        if (!event.deleted) values_[event.key] = event.value;
      }
    };
    handlers.on_error = [this](const store::Error&) {
      MutexLock lock(mutex_);
      ++errors_;
    };
    return handlers;
  }
  std::string Value(const std::string& key) {
    MutexLock lock(mutex_);
    auto found = values_.find(key);
    return found == values_.end() ? "(none)" : found->second;
  }
  int snapshots() {
    MutexLock lock(mutex_);
    return snapshots_;
  }
  int errors() {
    MutexLock lock(mutex_);
    return errors_;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::string> values_ ABSL_GUARDED_BY(mutex_);
  int64_t last_revision_ ABSL_GUARDED_BY(mutex_) = 0;
  int snapshots_ ABSL_GUARDED_BY(mutex_) = 0;
  int errors_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(StoreClientTest, ReadsWritesAndReportsErrorsByTheirRow) {
  Client client(Options());
  auto put = client.Put(PutOf("a", "1"));
  ASSERT_TRUE(put) << put.error().ToString();
  auto got = client.Range(RangeOf("a"));
  ASSERT_TRUE(got);
  ASSERT_EQ(got->kvs_size(), 1);
  EXPECT_EQ(got->kvs(0).value(), "1");
  EXPECT_EQ(got->kvs(0).mod_revision(), put->header().revision());

  auto empty = client.Put(PutOf("", "1"));
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code(), ErrorCode::kEmptyKey);
  pb::RangeRequest future = RangeOf("a");
  future.set_revision(1000);
  auto refused = client.Range(future);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kFutureRevision);
  EXPECT_TRUE(client.Health());
  EXPECT_TRUE(client.EndpointStatus());
  EXPECT_TRUE(client.HashKV(0));
  EXPECT_TRUE(client.MemberList({}));
}

TEST_F(StoreClientTest, KeepsALeaseAliveUntilItIsRevoked) {
  Client client(Options());
  pb::LeaseGrantRequest request;
  request.set_ttl(30);
  auto granted = client.LeaseGrant(request);
  ASSERT_TRUE(granted);
  auto alive = client.LeaseKeepAlive(granted->id());
  ASSERT_TRUE(alive) << alive.error().ToString();
  EXPECT_EQ(alive->ttl(), 30);
  auto leases = client.LeaseLeases();
  ASSERT_TRUE(leases);
  EXPECT_EQ(leases->leases_size(), 1);
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(granted->id());
  ASSERT_TRUE(client.LeaseRevoke(revoke));
  auto gone = client.LeaseKeepAlive(granted->id());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kLeaseNotFound);
}

TEST_F(StoreClientTest, TakesTheNextEndpointWhenOneIsDead) {
  ClientOptions options = Options();
  options.endpoints.insert(options.endpoints.begin(), "127.0.0.1:" + std::to_string(FreePort()));
  Client client(options);
  auto put = client.Put(PutOf("a", "1"));
  ASSERT_TRUE(put) << put.error().ToString();
  EXPECT_EQ(client.current_endpoint(), server_.endpoint());
}

TEST_F(StoreClientTest, SaysThatNobodyAnswersAtTheDeadline) {
  ClientOptions options;
  options.endpoints = {"127.0.0.1:" + std::to_string(FreePort())};
  options.call_timeout = std::chrono::milliseconds(300);
  Client client(options);
  auto got = client.Range(RangeOf("a"));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable) << got.error().ToString();
}

TEST_F(StoreClientTest, StopEndsACallThatHangs) {
  ClientOptions options = Options();
  options.call_timeout = std::chrono::seconds(60);
  Client client(options);
  ASSERT_TRUE(client.Range(RangeOf("a")));
  server_.process().Signal(SIGSTOP);
  std::atomic<bool> ended = false;
  std::thread caller([&] {
    auto got = client.Range(RangeOf("a"));
    EXPECT_FALSE(got);
    ended = true;
  });
  client.Stop();
  EXPECT_TRUE(WaitUntil([&] { return ended.load(); }));
  caller.join();
  server_.process().Signal(SIGCONT);
}

TEST_F(StoreClientTest, WatcherFollowsThroughARestartWithoutASecondSnapshot) {
  Client client(Options());
  ASSERT_TRUE(client.Put(PutOf("dir/a", "1")));
  Mirror mirror;
  WatcherOptions options;
  options.key = "dir/";
  options.range_end = store::client::PrefixEnd("dir/");
  Watcher watcher(client, options, mirror.Handlers());
  watcher.Start();
  ASSERT_TRUE(WaitUntil([&] { return mirror.Value("dir/a") == "1"; }));
  ASSERT_TRUE(client.Put(PutOf("dir/b", "2")));
  ASSERT_TRUE(WaitUntil([&] { return mirror.Value("dir/b") == "2"; }));

  server_.Kill();
  ASSERT_TRUE(WaitUntil([&] { return mirror.errors() > 0; }));
  ASSERT_TRUE(server_.Start());
  ASSERT_TRUE(server_.Put("dir/c", "3"));
  EXPECT_TRUE(WaitUntil([&] { return mirror.Value("dir/c") == "3"; }));
  EXPECT_EQ(mirror.snapshots(), 1);
  watcher.Stop();
}

TEST_F(StoreClientTest, WatcherReadsAgainWhenItsRevisionIsCompacted) {
  Client client(Options());
  ASSERT_TRUE(client.Put(PutOf("k", "1")));
  Mirror mirror;
  WatcherOptions options;
  options.key = "k";
  Watcher watcher(client, options, mirror.Handlers());
  watcher.Start();
  ASSERT_TRUE(WaitUntil([&] { return mirror.Value("k") == "1"; }));

  // While the watcher is cut off, history moves on and is compacted.
  int before = mirror.errors();
  server_.Kill();
  ASSERT_TRUE(WaitUntil([&] { return mirror.errors() > before; }));
  EtcdServer elsewhere(scratch_.path());
  ASSERT_TRUE(elsewhere.Start());
  for (int i = 2; i < 6; ++i) ASSERT_TRUE(elsewhere.Put("k", std::to_string(i)));
  ASSERT_EQ(elsewhere.Etcdctl({"compaction", "6"}).exit_code, 0);
  elsewhere.Kill();
  ASSERT_TRUE(server_.Start());
  EXPECT_TRUE(WaitUntil([&] { return mirror.Value("k") == "5"; }));
  EXPECT_EQ(mirror.snapshots(), 2);
  watcher.Stop();
}

TEST_F(StoreClientTest, WatcherStartsOverWhenTheStoreWentBackInTime) {
  Client client(Options());
  for (int i = 1; i < 9; ++i) ASSERT_TRUE(client.Put(PutOf("k", std::to_string(i))));
  Mirror mirror;
  WatcherOptions options;
  options.key = "k";
  Watcher watcher(client, options, mirror.Handlers());
  watcher.Start();
  ASSERT_TRUE(WaitUntil([&] { return mirror.Value("k") == "8"; }));
  server_.Kill();
  std::filesystem::remove_all(scratch_ / "data");
  ASSERT_TRUE(server_.Start());
  EXPECT_TRUE(WaitUntil([&] { return mirror.Value("k") == "(none)"; }));
  ASSERT_TRUE(server_.Put("k", "new"));
  EXPECT_TRUE(WaitUntil([&] { return mirror.Value("k") == "new"; }));
  watcher.Stop();
}

}  // namespace
}  // namespace logagent::testing
