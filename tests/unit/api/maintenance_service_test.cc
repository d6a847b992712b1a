// SPDX-License-Identifier: Apache-2.0
// Maintenance, Cluster and the HTTP endpoints.
#include "store/api/maintenance_service.h"

#include "store/api/cluster_service.h"
#include "store/api/http_admin.h"
#include "store/api/kv_service.h"
#include "store/apply/command.h"
#include "tests/unit/api/member.h"

#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <map>

namespace store::api {
namespace {

using namespace etcdserverpb;
using rpc::GrpcCode;

class MaintenanceTest : public ::testing::Test {
 protected:
  MaintenanceTest()
      : kv(*member.context),
        cluster(*member.context, clock),
        service(*member.context,
                MaintenanceHooks{[this](absl::AnyInvocable<void(store::Status)> done) {
                                   if (busy) return false;
                                   done(Ok());
                                   return true;
                                 },
                                 [this](Action&& action) {
                                   if (busy) return false;
                                   action();
                                   return true;
                                 }}) {
    kv.Register(member.table);
    cluster.Register(member.table);
    service.Register(member.table);
  }
  FakeCallPtr Alarm(AlarmRequest::AlarmAction action, uint64_t id, AlarmType type) {
    AlarmRequest request;
    request.set_action(action);
    request.set_memberid(id);
    request.set_alarm(type);
    return member.Do("/etcdserverpb.Maintenance/Alarm", request);
  }
  StatusResponse GetStatus() {
    return member.Unary("/etcdserverpb.Maintenance/Status", StatusRequest())
        ->Message<StatusResponse>(0);
  }

  Member member;
  bool busy = false;
  KvService kv;
  SystemClock clock;
  ClusterService cluster;
  MaintenanceService service;
};

TEST_F(MaintenanceTest, StatusTellsTheQuotaAsItIsConfigured) {
  for (int64_t quota : {int64_t{4} << 30, int64_t{-1}}) {
    member.context->limits.quota_bytes = quota;
    EXPECT_EQ(GetStatus().dbsizequota(), quota);
  }
}

TEST_F(MaintenanceTest, StatusIsLocalAndNamesWhatIsWrong) {
  member.gauges.commit = 5;
  StatusResponse status = GetStatus();
  ExpectHeader(status.header(), 1);
  EXPECT_EQ(status.version(), "3.7.0");
  EXPECT_GT(status.dbsize(), 0);
  EXPECT_GT(status.dbsizeinuse(), 0);
  EXPECT_EQ(status.dbsizequota(), 2LL << 30);
  EXPECT_EQ(status.leader(), kMember);
  EXPECT_EQ(status.raftindex(), 5u);
  EXPECT_EQ(status.raftterm(), kTerm);
  EXPECT_TRUE(status.has_downgradeinfo());
  EXPECT_EQ(status.errors_size(), 0);
  Alarm(AlarmRequest::ACTIVATE, 3, CORRUPT);
  member.gauges.leader = 0;
  status = GetStatus();
  ASSERT_EQ(status.errors_size(), 2);
  EXPECT_EQ(status.errors(0), "etcdserver: no leader");
  EXPECT_EQ(status.errors(1), "memberID:3 alarm:CORRUPT");
}

TEST_F(MaintenanceTest, AlarmsAreListedAndLifted) {
  EXPECT_EQ(Alarm(AlarmRequest::GET, 0, NONE)->Message<AlarmResponse>(0).alarms_size(), 0);
  auto raised = Alarm(AlarmRequest::ACTIVATE, 0, NOSPACE)->Message<AlarmResponse>(0);
  ASSERT_EQ(raised.alarms_size(), 1);
  EXPECT_EQ(raised.alarms(0).memberid(), 0u);
  ExpectHeader(raised.header(), 1);
  PutRequest put;
  put.set_key("k");
  ExpectStatus(member.Do("/etcdserverpb.KV/Put", put), GrpcCode::kResourceExhausted,
               "etcdserver: mvcc: database space exceeded");
  EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, 0, NOSPACE)->Message<AlarmResponse>(0).alarms_size(),
            1);
  EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, 0, NOSPACE)->Message<AlarmResponse>(0).alarms_size(),
            0);
  EXPECT_TRUE(member.Do("/etcdserverpb.KV/Put", put)->status.ok());
}

TEST_F(MaintenanceTest, HashesAndTheirErrors) {
  HashKVRequest request;
  auto hash = member.Do("/etcdserverpb.Maintenance/HashKV", request)->Message<HashKVResponse>(0);
  EXPECT_EQ(hash.compact_revision(), -1);
  EXPECT_EQ(hash.hash_revision(), 1);
  ExpectHeader(hash.header(), 1);
  request.set_revision(9);
  ExpectStatus(member.Do("/etcdserverpb.Maintenance/HashKV", request), GrpcCode::kOutOfRange,
               "etcdserver: mvcc: required revision is a future revision");
  auto whole = member.Do("/etcdserverpb.Maintenance/Hash", HashRequest());
  EXPECT_NE(whole->Message<HashResponse>(0).hash(), 0u);
  busy = true;
  ExpectStatus(member.Do("/etcdserverpb.Maintenance/Hash", HashRequest()), GrpcCode::kUnknown,
               "etcdserver: too many requests");
}

TEST_F(MaintenanceTest, DefragmentAnswersWithoutAHeader) {
  auto call = member.Do("/etcdserverpb.Maintenance/Defragment", DefragmentRequest());
  ASSERT_EQ(call->sent.size(), 1u);
  EXPECT_TRUE(call->sent[0].empty());
  EXPECT_TRUE(call->status.ok());
}

TEST_F(MaintenanceTest, MemberListHasNoRevision) {
  MemberListRequest request;
  request.set_linearizable(true);
  auto call = member.Unary("/etcdserverpb.Cluster/MemberList", request);
  EXPECT_FALSE(call->finished);
  member.Pump();
  auto list = call->Message<MemberListResponse>(0);
  ExpectHeader(list.header(), 0);
  ASSERT_EQ(list.members_size(), 1);
  EXPECT_EQ(list.members(0).id(), kMember);
  EXPECT_EQ(list.members(0).name(), "default");
  EXPECT_EQ(list.members(0).peerurls(0), "http://localhost:2380");
  EXPECT_EQ(list.members(0).clienturls(0), "http://localhost:2379");
}

class FakeExchange final : public rpc::HttpExchange {
 public:
  FakeExchange(std::string method, std::string path, std::string query) {
    request_.method = std::move(method);
    request_.path = std::move(path);
    request_.query = std::move(query);
  }
  void SendHead(int sent_status, std::span<const rpc::HttpHeader> sent,
                std::optional<size_t>) override {
    status = sent_status;
    for (const rpc::HttpHeader& header : sent) headers[header.name] = header.value;
  }
  bool SendPiece(SharedBytes piece) override {
    body.append(piece.view());
    return true;
  }
  void SendEnd() override {}

  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
};

std::string Unpack(const std::string& packed) {
  google::protobuf::io::ArrayInputStream in(packed.data(), static_cast<int>(packed.size()));
  google::protobuf::io::GzipInputStream unpacked(&in);
  std::string text;
  const void* piece = nullptr;
  for (int size = 0; unpacked.Next(&piece, &size);) {
    text.append(static_cast<const char*>(piece), static_cast<size_t>(size));
  }
  return text;
}

class HttpTest : public MaintenanceTest {
 protected:
  HttpTest() : admin(*member.context, registry) { admin.RegisterClientPages(router); }
  std::shared_ptr<FakeExchange> Get(std::string path, std::string query = {},
                                    std::string method = "GET") {
    auto exchange =
        std::make_shared<FakeExchange>(std::move(method), std::move(path), std::move(query));
    router.Route(exchange);
    member.Pump();
    return exchange;
  }

  Registry registry;
  HttpAdmin admin;
  rpc::HttpRouter router;
};

TEST_F(HttpTest, HealthyBodiesHaveNoNewline) {
  auto health = Get("/health");
  EXPECT_EQ(health->status, 200);
  EXPECT_EQ(health->body, R"({"health":"true","reason":""})");
  EXPECT_EQ(health->headers["content-type"], "text/plain; charset=utf-8");
  EXPECT_EQ(health->headers["access-control-allow-origin"], "*");
  EXPECT_EQ(Get("/health", {}, "POST")->status, 405);
  EXPECT_EQ(Get("/health", {}, "OPTIONS")->status, 200);
}

TEST_F(HttpTest, HealthLooksAtAlarmsThenLeaderThenAReads) {
  Alarm(AlarmRequest::ACTIVATE, 1, NOSPACE);
  member.gauges.leader = 0;
  auto sick = Get("/health");
  EXPECT_EQ(sick->status, 503);
  EXPECT_EQ(sick->body, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
  EXPECT_EQ(Get("/health", "exclude=NOSPACE")->body,
            "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
  EXPECT_EQ(Get("/health", "exclude=NOSPACE&serializable=true")->status, 200);
  member.gauges.leader = kMember;
  EXPECT_EQ(Get("/health", "exclude=NOSPACE")->status, 200);
}

TEST_F(HttpTest, HealthOfAMemberThatCannotRead) {
  auto exchange = std::make_shared<FakeExchange>("GET", "/health", "");
  router.Route(exchange);
  member.executor.Advance(std::chrono::seconds(7));
  EXPECT_EQ(exchange->status, 503);
  EXPECT_EQ(exchange->body,
            "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n");
}

TEST_F(HttpTest, ThePortForMetricsIsNoClientPort) {
  router = {};
  admin.RegisterPages(router);
  EXPECT_EQ(Get("/version")->status, 404);
  EXPECT_EQ(Get("/health", {}, "OPTIONS")->status, 405);
  auto health = Get("/health");
  EXPECT_EQ(health->status, 200);
  EXPECT_FALSE(health->headers.contains("access-control-allow-origin"));
}

TEST_F(HttpTest, ProbesAndTheirParts) {
  EXPECT_EQ(Get("/livez")->body, "ok\n");
  EXPECT_EQ(Get("/livez")->headers["x-content-type-options"], "nosniff");
  EXPECT_EQ(Get("/readyz")->body, "ok\n");
  EXPECT_EQ(Get("/livez", "verbose")->body, "[+]serializable_read ok\nok\n");
  Alarm(AlarmRequest::ACTIVATE, 1, CORRUPT);
  auto sick = Get("/readyz");
  EXPECT_EQ(sick->status, 503);
  EXPECT_EQ(sick->body,
            "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n"
            "[+]linearizable_read ok\n[+]non_learner ok\n\n");
  EXPECT_EQ(Get("/readyz", "exclude=data_corruption")->status, 200);
  EXPECT_EQ(Get("/readyz/linearizable_read")->status, 200);
  EXPECT_EQ(Get("/readyz/data_corruption")->status, 503);
  // What is asked for by its name is not left out.
  EXPECT_EQ(Get("/readyz/data_corruption", "exclude=data_corruption")->status, 503);
  EXPECT_EQ(Get("/livez/nothing")->status, 404);
}

TEST_F(MaintenanceTest, ADowngradeIsJudgedAllowedAndTakenBack) {
  auto ask = [this](DowngradeRequest::DowngradeAction action, const std::string& version) {
    DowngradeRequest request;
    request.set_action(action);
    request.set_version(version);
    return member.Do("/etcdserverpb.Maintenance/Downgrade", request);
  };
  ExpectStatus(ask(DowngradeRequest::VALIDATE, "3.6"), GrpcCode::kFailedPrecondition,
               "etcdserver: cluster version not found during downgrade");
  sluice::store::Command version;
  version.mutable_cluster_version()->set_ver("3.7.0");
  member.ApplyEntry(raft::EntryKind::kCommand, apply::EncodeCommand({}, version));
  for (const char* target : {"3.6", "3.6.0", "3.6.4"}) {
    auto valid = ask(DowngradeRequest::VALIDATE, target)->Message<DowngradeResponse>(0);
    EXPECT_EQ(valid.version(), "3.7");
    ExpectHeader(valid.header(), 1);
  }
  for (const char* target : {"", "3", "x", "3.6-rc.1"}) {
    ExpectStatus(ask(DowngradeRequest::ENABLE, target), GrpcCode::kInvalidArgument,
                 "etcdserver: wrong downgrade target version format");
  }
  for (const char* target : {"3.5", "3.7", "2.6"}) {
    ExpectStatus(ask(DowngradeRequest::ENABLE, target), GrpcCode::kInvalidArgument,
                 "etcdserver: invalid downgrade target version");
  }
  EXPECT_FALSE(GetStatus().downgradeinfo().enabled());
  EXPECT_EQ(ask(DowngradeRequest::ENABLE, "3.6")->Message<DowngradeResponse>(0).version(), "3.7");
  EXPECT_TRUE(GetStatus().downgradeinfo().enabled());
  EXPECT_EQ(GetStatus().downgradeinfo().targetversion(), "3.6.0");
  for (auto action : {DowngradeRequest::VALIDATE, DowngradeRequest::ENABLE}) {
    ExpectStatus(ask(action, "3.6"), GrpcCode::kFailedPrecondition,
                 "etcdserver: cluster has a downgrade job in progress");
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ask(DowngradeRequest::CANCEL, "")->Message<DowngradeResponse>(0).version(), "3.7");
    EXPECT_FALSE(GetStatus().downgradeinfo().enabled());
    EXPECT_EQ(GetStatus().downgradeinfo().targetversion(), "");
  }
  ExpectStatus(ask(static_cast<DowngradeRequest::DowngradeAction>(7), "3.6"), GrpcCode::kUnknown,
               "etcdserver: unknown method");
}

TEST_F(HttpTest, VersionAndMetrics) {
  auto version = Get("/version");
  EXPECT_EQ(version->headers["content-type"], "application/json");
  EXPECT_EQ(version->body,
            R"({"etcdserver":"3.7.0","etcdcluster":"not_decided","storage":"unknown"})");
  Get("/health");
  auto metrics = Get("/metrics");
  EXPECT_NE(metrics->body.find("etcd_server_health_success 1\n"), std::string::npos);
}

// Prometheus' handler at etcd looks at no method.
TEST_F(HttpTest, MetricsByAnyMethodAndPacked) {
  EXPECT_EQ(Get("/metrics", {}, "HEAD")->status, 200);
  EXPECT_EQ(Get("/metrics", {}, "POST")->status, 200);
  for (const char* accepted : {"gzip", "deflate, gzip;q=1.0", "br,gzip"}) {
    auto packed = std::make_shared<FakeExchange>("GET", "/metrics", "");
    packed->mutable_request().headers.push_back({"accept-encoding", accepted});
    router.Route(packed);
    EXPECT_EQ(packed->status, 200);
    EXPECT_EQ(packed->headers["content-encoding"], "gzip") << accepted;
    EXPECT_EQ(packed->headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(Unpack(packed->body), Get("/metrics")->body);
  }
  auto plain = std::make_shared<FakeExchange>("GET", "/metrics", "");
  plain->mutable_request().headers.push_back({"accept-encoding", "deflate, xgzip"});
  router.Route(plain);
  EXPECT_FALSE(plain->headers.contains("content-encoding"));
}

TEST_F(HttpTest, ChecksAreCounted) {
  Get("/livez");
  Get("/livez");
  Alarm(AlarmRequest::ACTIVATE, 1, CORRUPT);
  Get("/readyz/data_corruption");
  const std::string metrics = Get("/metrics")->body;
  for (const char* line :
       {"etcd_server_healthcheck{name=\"serializable_read\",type=\"livez\"} 1\n",
        "etcd_server_healthcheck{name=\"data_corruption\",type=\"readyz\"} 0\n",
        "etcd_server_healthchecks_total{name=\"serializable_read\",status=\"success\",type="
        "\"livez\"} "
        "2\n",
        "etcd_server_healthchecks_total{name=\"data_corruption\",status=\"error\",type=\"readyz\"} "
        "1\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  }
}

}  // namespace
}  // namespace store::api
