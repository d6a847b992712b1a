// SPDX-License-Identifier: Apache-2.0
#include "store/api/watch_service.h"

#include "store/api/kv_service.h"
#include "store/api/wire.h"
#include "tests/unit/api/member.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace store::api {
namespace {

using namespace etcdserverpb;
using rpc::GrpcCode;

constexpr std::string_view kWatch = "/etcdserverpb.Watch/Watch";

class WatchServiceTest : public ::testing::Test {
 protected:
  WatchServiceTest()
      : hub({}, member.machine.mvcc(), clock, EncodeWatchEvents),
        kv(*member.context),
        service(*member.context, hub) {
    kv.Register(member.table);
    service.Register(member.table);
    member.on_events = [this](mvcc::EventBatchPtr batch) { hub.Publish(std::move(batch)); };
  }
  // Hub and loop until neither has work.
  void Turn() {
    for (int i = 0; i < 50; ++i) {
      while (hub.RunTurn()) {
      }
      member.executor.Run();
    }
  }
  void Put(const std::string& key, const std::string& value) {
    PutRequest request;
    request.set_key(key);
    request.set_value(value);
    EXPECT_TRUE(member.Do("/etcdserverpb.KV/Put", request)->status.ok());
  }
  static WatchRequest Create(const std::string& key, int64_t start = 0) {
    WatchRequest request;
    request.mutable_create_request()->set_key(key);
    request.mutable_create_request()->set_start_revision(start);
    return request;
  }

  class VirtualClock final : public Clock {
   public:
    explicit VirtualClock(const ManualExecutor& executor) : executor_(executor) {}
    TimePoint Now() const override { return executor_.Now(); }
    int64_t WallMicros() const override { return 0; }

   private:
    const ManualExecutor& executor_;
  };

  Member member;
  VirtualClock clock{member.executor};
  watch::WatchHub hub;
  KvService kv;
  WatchService service;
};

TEST_F(WatchServiceTest, CreatedComesFirstThenEventsInOrder) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  auto created = call->Message<WatchResponse>(0);
  EXPECT_TRUE(created.created());
  EXPECT_EQ(created.watch_id(), 0);
  ExpectHeader(created.header(), 1);
  Put("k", "1");
  Turn();
  Put("other", "x");
  Put("k", "2");
  Turn();
  ASSERT_EQ(call->sent.size(), 3u);
  auto first = call->Message<WatchResponse>(1);
  ExpectHeader(first.header(), 2);
  EXPECT_EQ(first.events(0).kv().value(), "1");
  auto second = call->Message<WatchResponse>(2);
  EXPECT_EQ(second.events(0).kv().value(), "2");
  EXPECT_EQ(second.events(0).kv().version(), 2);
}

TEST_F(WatchServiceTest, CancelAnswersOnceAndUnknownIdsNothing) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  WatchRequest cancel;
  cancel.mutable_cancel_request()->set_watch_id(7);
  call->Receive(cancel);
  cancel.mutable_cancel_request()->set_watch_id(0);
  call->Receive(cancel);
  call->Receive(WatchRequest());
  Turn();
  ASSERT_EQ(call->sent.size(), 2u);
  EXPECT_TRUE(call->Message<WatchResponse>(1).canceled());
}

TEST_F(WatchServiceTest, BadRangesAreCreatedAndCanceled) {
  auto call = member.Stream(kWatch);
  WatchRequest bad = Create("z");
  bad.mutable_create_request()->set_range_end("a");
  call->Receive(bad);
  Turn();
  auto answer = call->Message<WatchResponse>(0);
  EXPECT_TRUE(answer.created());
  EXPECT_TRUE(answer.canceled());
  EXPECT_EQ(answer.watch_id(), -1);
  EXPECT_EQ(answer.cancel_reason(), "mvcc: watcher range is empty");
}

TEST_F(WatchServiceTest, AnEmptyKeyIsTheSmallestOne) {
  auto call = member.Stream(kWatch);
  WatchRequest all = Create("");
  all.mutable_create_request()->set_range_end(std::string(1, '\0'));
  call->Receive(all);
  Turn();
  Put("anything", "1");
  Turn();
  EXPECT_EQ(call->Message<WatchResponse>(1).events_size(), 1);
}

TEST_F(WatchServiceTest, CompactionCancelCarriesRevisionZero) {
  Put("k", "1");
  Put("k", "2");
  CompactionRequest compact;
  compact.set_revision(3);
  member.Do("/etcdserverpb.KV/Compact", compact);
  auto call = member.Stream(kWatch);
  call->Receive(Create("k", 2));
  Turn();
  ASSERT_EQ(call->sent.size(), 2u);
  auto canceled = call->Message<WatchResponse>(1);
  EXPECT_TRUE(canceled.canceled());
  EXPECT_EQ(canceled.compact_revision(), 3);
  ExpectHeader(canceled.header(), 0);
}

TEST_F(WatchServiceTest, ASlowClientGetsEverythingInOrderAndBoundsItsQueue) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  call->blocked = true;
  for (int i = 0; i < 500; ++i) {
    Put("k", std::to_string(i) + std::string(4000, 'v'));
    Turn();
  }
  EXPECT_LT(call->sent.size(), 10u) << "the transport said stop";
  while (true) {
    size_t before = call->sent.size();
    call->Drain();
    Turn();
    if (call->sent.size() == before) break;
  }
  int64_t next = 2;
  for (size_t i = 1; i < call->sent.size(); ++i) {
    auto response = call->Message<WatchResponse>(i);
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().mod_revision(), next++);
    }
  }
  EXPECT_EQ(next, 502);
}

TEST_F(WatchServiceTest, EventsGoOnAfterTheClientHasEndedItsHalf) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  call->HalfClose();
  Turn();
  ASSERT_FALSE(call->finished);
  Put("k", "1");
  Turn();
  ASSERT_EQ(call->sent.size(), 2u);
  EXPECT_EQ(call->Message<WatchResponse>(1).events(0).kv().key(), "k");
  call->CancelByClient();
  Turn();
  EXPECT_EQ(hub.stats().streams, 0u);
}

TEST_F(WatchServiceTest, ACancelledStreamIsClosedInTheHub) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  EXPECT_EQ(hub.stats().watchers, 1u);
  call->CancelByClient();
  Turn();
  EXPECT_EQ(hub.stats().watchers, 0u);
}

TEST_F(WatchServiceTest, AMalformedMessageEndsTheStreamAndItsWatchers) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  call->ReceiveBytes("\xFF\xFF");
  Turn();
  ASSERT_TRUE(call->finished);
  EXPECT_EQ(call->status.code, GrpcCode::kInternal);
  EXPECT_EQ(hub.stats().streams, 0u);
}

TEST_F(WatchServiceTest, StreamsThatNeedALeaderEndAfterThreeElectionTimeoutsWithoutOne) {
  rpc::Metadata metadata;
  metadata.Add("hasleader", "true");
  auto needs = member.Stream(kWatch, metadata);
  auto stays = member.Stream(kWatch);
  member.gauges.leader = 0;
  member.executor.Advance(std::chrono::milliseconds(2500));
  EXPECT_FALSE(needs->finished);
  member.gauges.leader = kMember;
  member.executor.Advance(std::chrono::seconds(1));
  member.gauges.leader = 0;
  member.executor.Advance(std::chrono::milliseconds(2400));
  EXPECT_FALSE(needs->finished) << "not in a row";
  member.executor.Advance(std::chrono::seconds(1));
  ExpectStatus(needs, GrpcCode::kUnavailable, "etcdserver: no leader");
  EXPECT_FALSE(stays->finished);
}

TEST_F(WatchServiceTest, AStreamEndsWhenTheServerStops) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  call->Stop();
  Turn();
  ASSERT_TRUE(call->finished);
  EXPECT_EQ(call->status.code, GrpcCode::kUnavailable);
  EXPECT_EQ(call->status.message, "etcdserver: server stopped");
  EXPECT_EQ(hub.stats().streams, 0u);
}

// What it would ask for, the hub would have to keep. Without an end, however much it sends.
TEST_F(WatchServiceTest, AStreamThatIsNotReadIsNotReadFrom) {
  auto call = member.Stream(kWatch);
  call->Receive(Create("k"));
  Turn();
  call->blocked = true;
  for (size_t i = 0; i < 2 * kWatchResponsesMax; ++i) {
    Put("k", std::to_string(i));
    Turn();
  }
  constexpr size_t kRequests = 20'000;
  for (size_t i = 0; i < kRequests; ++i) call->Receive(Create("other"));
  Turn();
  EXPECT_FALSE(call->finished);
  EXPECT_GE(call->held(), kRequests - 1);
  EXPECT_LE(hub.stats().watchers, 2u);
  call->Drain();
  size_t before = 0;
  while (call->sent.size() > std::exchange(before, call->sent.size())) {
    const size_t held = call->held();
    member.executor.Run();  // without the hub
    EXPECT_LE(held - call->held(), kWatchResponsesMax);
    Turn();
  }
  EXPECT_EQ(call->held(), 0u);
  size_t created = 0;
  for (size_t i = 0; i < call->sent.size(); ++i) {
    created += call->Message<WatchResponse>(i).created() ? 1 : 0;
  }
  EXPECT_EQ(created, kRequests + 1);
}

TEST_F(WatchServiceTest, OutletTakesAnyOneResponseAndTellsWhenItIsHalfEmpty) {
  WatchMail mail(member.executor, [] {});
  WatchOutlet outlet(watch::StreamId(1), mail);
  auto huge = std::make_shared<watch::WatchResponse>();
  huge->cancel_reason = std::string(2 << 20, 'x');
  EXPECT_TRUE(outlet.Offer(huge));
  auto small = std::make_shared<watch::WatchResponse>();
  EXPECT_FALSE(outlet.Offer(small));
  EXPECT_TRUE(outlet.full());
  EXPECT_TRUE(outlet.Return(huge->bytes()));
  EXPECT_FALSE(outlet.full());
  EXPECT_TRUE(outlet.Offer(small));
  EXPECT_FALSE(outlet.Return(small->bytes())) << "it tells once";
  for (size_t i = 0; i < kWatchResponsesMax; ++i) EXPECT_TRUE(outlet.Offer(small));
  EXPECT_FALSE(outlet.Offer(small));
  size_t returned = 1;
  while (!outlet.Return(small->bytes())) ++returned;
  EXPECT_EQ(returned, kWatchResponsesMax / 2 + 1);
}

}  // namespace
}  // namespace store::api
