// SPDX-License-Identifier: Apache-2.0
#include "store/api/gate.h"

#include "store/api/health_service.h"
#include "store/api/kv_service.h"
#include "tests/unit/api/member.h"

#include <gtest/gtest.h>

#include <string>

namespace store::api {
namespace {

rpc::CallInfo Info(std::string_view method, std::string_view name = {},
                   std::string_view value = {}) {
  rpc::CallInfo info;
  info.method = method;
  if (!name.empty()) info.metadata.Add(name, value);
  return info;
}

TEST(Gate, RefusesAVersionThatIsNotUtf8BeforeItAsksForALeader) {
  replica::RaftGauges gauges;
  Registry registry;
  Gate gate(gauges, registry);
  rpc::CallInfo info = Info("/etcdserverpb.KV/Put", "client-api-version", "\xFF");
  info.metadata.Add("hasleader", "true");
  auto refused = gate.Check(info);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->message, "etcdserver: invalid client api version");
}

TEST(Gate, ALearnerServesLittle) {
  replica::RaftGauges gauges;
  gauges.is_learner = true;
  Registry registry;
  Gate gate(gauges, registry);
  for (std::string_view served : {"/etcdserverpb.KV/Range", "/etcdserverpb.Maintenance/Status",
                                  "/etcdserverpb.Maintenance/Snapshot"}) {
    EXPECT_FALSE(gate.Check(Info(served))) << served;
  }
  for (std::string_view refused :
       {"/etcdserverpb.KV/Put", "/etcdserverpb.Watch/Watch", "/etcdserverpb.Cluster/MemberList",
        "/grpc.health.v1.Health/Check", "/etcdserverpb.Maintenance/Alarm"}) {
    auto status = gate.Check(Info(refused, "client-api-version", "\xFF"));
    ASSERT_TRUE(status) << refused;
    EXPECT_EQ(status->code, rpc::GrpcCode::kFailedPrecondition);
    EXPECT_EQ(status->message, "etcdserver: rpc not supported for learner");
  }
}

// The learner's rule comes before what the metadata asks, and only the request of a Range tells it.
TEST(Gate, ALearnerLooksAtARangesMetadataAfterTheRange) {
  Member member;
  KvService kv(*member.context);
  kv.Register(member.table);
  member.gauges.is_learner = true;
  member.gauges.leader = 0;
  auto range = [&](bool serializable, std::string_view name, std::string_view value) {
    rpc::CallInfo info = Info("/etcdserverpb.KV/Range", name, value);
    EXPECT_FALSE(member.gate.Check(info));
    etcdserverpb::RangeRequest request;
    request.set_key("a");
    request.set_serializable(serializable);
    FakeCallPtr call = member.Start(info.method, info.metadata);
    member.table.Find(info.method)->start(call, SharedBytes::Of(request.SerializeAsString()));
    member.executor.Run();
    return call;
  };
  ExpectStatus(range(false, "hasleader", "true"), rpc::GrpcCode::kFailedPrecondition,
               "etcdserver: rpc not supported for learner");
  ExpectStatus(range(false, "client-api-version", "\xFF"), rpc::GrpcCode::kFailedPrecondition,
               "etcdserver: rpc not supported for learner");
  ExpectStatus(range(true, "hasleader", "true"), rpc::GrpcCode::kUnavailable,
               "etcdserver: no leader");
  ExpectStatus(range(true, "client-api-version", "\xFF"), rpc::GrpcCode::kInvalidArgument,
               "etcdserver: invalid client api version");
  EXPECT_EQ(range(true, "client-api-version", "3.7")->sent.size(), 1u);
  std::string text = member.registry.Text();
  EXPECT_NE(text.find(R"({client_api_version="3.7",type="unary"} 1)"), std::string::npos) << text;
}

TEST(Gate, HasLeaderFailsAtOnceWithoutOne) {
  replica::RaftGauges gauges;
  Registry registry;
  Gate gate(gauges, registry);
  auto refused = gate.Check(Info("/etcdserverpb.Watch/Watch", "hasleader", "true"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, rpc::GrpcCode::kUnavailable);
  EXPECT_EQ(refused->message, "etcdserver: no leader");
  EXPECT_FALSE(gate.Check(Info("/etcdserverpb.Watch/Watch", "hasleader", "false")));
  gauges.leader = 1;
  EXPECT_FALSE(gate.Check(Info("/etcdserverpb.Watch/Watch", "hasleader", "true")));
}

TEST(Gate, CountsRequestsByVersionAndKind) {
  replica::RaftGauges gauges;
  Registry registry;
  Gate gate(gauges, registry);
  for (int i = 0; i < 20; ++i) {
    std::string version = "3." + std::to_string(i);
    EXPECT_FALSE(gate.Check(Info("/etcdserverpb.KV/Put", "client-api-version", version)));
    EXPECT_FALSE(gate.Check(Info("/etcdserverpb.Watch/Watch", "client-api-version", version)));
  }
  EXPECT_FALSE(gate.Check(Info("/etcdserverpb.KV/Put")));
  std::string text = registry.Text();
  EXPECT_NE(text.find(R"(client_api_version="3.19")"), std::string::npos);
  EXPECT_NE(text.find(R"(client_api_version="unknown")"), std::string::npos);
}

TEST(Gate, VoterIsAMemberThatTheListCallsNoLearner) {
  apply::StateView state;
  EXPECT_FALSE(IsVoter(state, 1));
  cluster::Member voter;
  voter.id = raft::NodeId(1);
  cluster::Member learner;
  learner.id = raft::NodeId(2);
  learner.learner = true;
  state.members = std::make_shared<const std::vector<cluster::Member>>(
      std::vector<cluster::Member>{voter, learner});
  EXPECT_TRUE(IsVoter(state, 1));
  EXPECT_FALSE(IsVoter(state, 2));
  EXPECT_FALSE(IsVoter(state, 3));
}

class HealthTest : public ::testing::Test {
 protected:
  using Request = grpc::health::v1::HealthCheckRequest;
  using Response = grpc::health::v1::HealthCheckResponse;
  void SetUp() override { health.Register(member.table); }

  Member member;
  HealthService health;
};

TEST_F(HealthTest, ChecksTheWholeServerOnly) {
  Request request;
  auto whole = member.Unary("/grpc.health.v1.Health/Check", request);
  EXPECT_EQ(whole->Message<Response>(0).status(), Response::SERVING);
  request.set_service("x");
  ExpectStatus(member.Unary("/grpc.health.v1.Health/Check", request), rpc::GrpcCode::kNotFound,
               "unknown service");
}

TEST_F(HealthTest, WatchTellsChanges) {
  auto watch = member.Stream("/grpc.health.v1.Health/Watch");
  watch->Receive(Request());
  EXPECT_EQ(watch->Message<Response>(0).status(), Response::SERVING);
  health.SetServing(false);
  member.executor.Run();
  EXPECT_EQ(watch->Message<Response>(1).status(), Response::NOT_SERVING);
  Request unknown;
  unknown.set_service("x");
  auto other = member.Stream("/grpc.health.v1.Health/Watch");
  other->Receive(unknown);
  EXPECT_EQ(other->Message<Response>(0).status(), Response::SERVICE_UNKNOWN);
}

TEST_F(HealthTest, WatchEndsWhenTheServerStops) {
  auto watch = member.Stream("/grpc.health.v1.Health/Watch");
  watch->Receive(Request());
  auto silent = member.Stream("/grpc.health.v1.Health/Watch");
  health.SetServing(false);
  member.executor.Run();
  watch->Stop();
  silent->Stop();
  EXPECT_EQ(watch->Message<Response>(1).status(), Response::NOT_SERVING);
  ASSERT_TRUE(watch->finished);
  EXPECT_EQ(watch->status.code, rpc::GrpcCode::kUnavailable);
  ExpectStatus(silent, rpc::GrpcCode::kUnavailable, "etcdserver: server stopped");
}

}  // namespace
}  // namespace store::api
