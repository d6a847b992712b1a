// SPDX-License-Identifier: Apache-2.0
// The client stubs: what they put into the :path of a call. A generic in-process server answers any
// method by naming it, so this is the path on the wire and not a string of the generator.
#include "etcd/rpc.grpc.pb.h"
#include "etcd/v3election.grpc.pb.h"
#include "etcd/v3lock.grpc.pb.h"
#include "health.grpc.pb.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>

namespace {

// Refuses every call with its method name as the message.
class NamingService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    class Refusal final : public grpc::ServerGenericBidiReactor {
     public:
      explicit Refusal(const std::string& method) {
        Finish(grpc::Status(grpc::StatusCode::ABORTED, method));
      }
      void OnDone() override { delete this; }
    };
    return new Refusal(context->method());
  }
};

class StubTest : public testing::Test {
 protected:
  StubTest() {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
  }
  ~StubTest() override { server_->Shutdown(); }

  NamingService service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(StubTest, UnaryCallsGoToTheirPaths) {
  etcdserverpb::RangeResponse range;
  grpc::ClientContext first;
  EXPECT_EQ(etcdserverpb::KV::NewStub(channel_)->Range(&first, {}, &range).error_message(),
            "/etcdserverpb.KV/Range");
  v3lockpb::LockResponse lock;
  grpc::ClientContext second;
  EXPECT_EQ(v3lockpb::Lock::NewStub(channel_)->Lock(&second, {}, &lock).error_message(),
            "/v3lockpb.Lock/Lock");
  v3electionpb::CampaignResponse campaign;
  grpc::ClientContext third;
  EXPECT_EQ(
      v3electionpb::Election::NewStub(channel_)->Campaign(&third, {}, &campaign).error_message(),
      "/v3electionpb.Election/Campaign");
  grpc::health::v1::HealthCheckResponse health;
  grpc::ClientContext fourth;
  EXPECT_EQ(
      grpc::health::v1::Health::NewStub(channel_)->Check(&fourth, {}, &health).error_message(),
      "/grpc.health.v1.Health/Check");
}

TEST_F(StubTest, StreamsGoToTheirPaths) {
  grpc::ClientContext first;
  EXPECT_EQ(etcdserverpb::Watch::NewStub(channel_)->Watch(&first)->Finish().error_message(),
            "/etcdserverpb.Watch/Watch");
  grpc::ClientContext second;
  EXPECT_EQ(
      etcdserverpb::Lease::NewStub(channel_)->LeaseKeepAlive(&second)->Finish().error_message(),
      "/etcdserverpb.Lease/LeaseKeepAlive");
  grpc::ClientContext third;
  EXPECT_EQ(
      etcdserverpb::Maintenance::NewStub(channel_)->Snapshot(&third, {})->Finish().error_message(),
      "/etcdserverpb.Maintenance/Snapshot");
}

}  // namespace
