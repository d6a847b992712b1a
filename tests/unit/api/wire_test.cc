// SPDX-License-Identifier: Apache-2.0
// The hand-written encoding against the generated one: equal bytes.
#include "store/api/wire.h"

#include "store/apply/convert.h"
#include "store/base/random.h"

#include <etcd/rpc.pb.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

namespace store::api {
namespace {

std::string Bytes(const rpc::MessageBody& body) {
  std::string bytes;
  for (const SharedBytes& part : body.parts()) bytes.append(part.view());
  EXPECT_EQ(bytes.size(), body.size());
  return bytes;
}

void Fill(const HeaderFields& from, etcdserverpb::ResponseHeader* to) {
  to->set_cluster_id(from.cluster);
  to->set_member_id(from.member);
  to->set_revision(from.revision.value());
  to->set_raft_term(from.term);
}

class WireTest : public ::testing::Test {
 protected:
  WireTest() {
    const char* given = std::getenv("API_WIRE_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : EntropySeed();
    random_ = Random(seed_);
    RecordProperty("seed", std::to_string(seed_));
  }
  // Small, huge, zero and negative numbers, as varints have a length for each.
  int64_t Number() {
    if (random_.Chance(0.2)) return 0;
    return static_cast<int64_t>(random_.Next() >> random_.Below(64));
  }
  SharedBytes Text(size_t max) {
    return SharedBytes::Of(
        std::string(random_.Below(max + 1), static_cast<char>('a' + random_.Below(26))));
  }
  mvcc::KeyValue KeyValue() {
    mvcc::KeyValue kv;
    kv.key = Text(200);
    kv.value = Text(random_.Chance(0.1) ? 20'000 : 100);
    kv.create = Revision(Number());
    kv.mod = Revision(Number());
    kv.version = Number();
    kv.lease = LeaseId(Number());
    return kv;
  }
  HeaderFields Header() {
    return {random_.Next(), static_cast<uint64_t>(Number()), Revision(Number()),
            static_cast<uint64_t>(Number())};
  }

  uint64_t seed_ = 0;
  Random random_{0};
};

TEST_F(WireTest, RangeResponsesEqualTheGeneratedCode) {
  SCOPED_TRACE(testing::Message() << "API_WIRE_SEED=" << seed_);
  for (int round = 0; round < 200; ++round) {
    HeaderFields header = Header();
    mvcc::RangeResult result;
    for (uint64_t i = random_.Below(5); i > 0; --i) result.kvs.push_back(KeyValue());
    result.more = random_.Chance(0.5);
    result.count = Number();
    etcdserverpb::RangeResponse expected;
    Fill(header, expected.mutable_header());
    apply::ToProto(result, &expected);
    ASSERT_EQ(Bytes(EncodeRangeResponse(header, result)), expected.SerializeAsString());
  }
}

TEST_F(WireTest, PiecesConcatenateToTheRangeResponse) {
  HeaderFields header = Header();
  mvcc::RangeChunk first;
  first.kvs = {KeyValue(), KeyValue()};
  mvcc::RangeChunk last;
  last.kvs = {KeyValue()};
  last.last = true;
  last.count = 9;
  last.more = true;
  etcdserverpb::RangeStreamResponse merged;
  std::string bytes =
      Bytes(EncodeRangePiece(first, header)) + Bytes(EncodeRangePiece(last, header));
  ASSERT_TRUE(merged.ParseFromString(bytes));
  EXPECT_EQ(merged.range_response().kvs_size(), 3);
  EXPECT_EQ(merged.range_response().count(), 9);
  EXPECT_TRUE(merged.range_response().more());
  EXPECT_EQ(merged.range_response().header().member_id(), header.member);
}

TEST_F(WireTest, HeaderOnlyIsAnEmptyResponse) {
  HeaderFields header = Header();
  etcdserverpb::PutResponse expected;
  Fill(header, expected.mutable_header());
  EXPECT_EQ(Bytes(EncodeHeaderOnly(header)), expected.SerializeAsString());
}

TEST_F(WireTest, WatchResponsesEqualTheGeneratedCodeAndShareTheirEvents) {
  SCOPED_TRACE(testing::Message() << "API_WIRE_SEED=" << seed_);
  for (int round = 0; round < 100; ++round) {
    auto events = std::make_shared<watch::WatchEvents>();
    etcdserverpb::WatchResponse expected;
    for (uint64_t i = random_.Below(4); i > 0; --i) {
      watch::WatchEvent event;
      auto* message = expected.add_events();
      event.event.kv = KeyValue();
      apply::ToProto(event.event.kv, message->mutable_kv());
      if (random_.Chance(0.3)) {
        event.event.type = mvcc::EventType::kDelete;
        message->set_type(mvccpb::Event::DELETE);
      }
      if (random_.Chance(0.5)) {
        event.prev = std::make_shared<mvcc::KeyValue>(KeyValue());
        apply::ToProto(*event.prev, message->mutable_prev_kv());
      }
      events->events.push_back(std::move(event));
    }
    events->encoded = EncodeWatchEvents(events->events);
    HeaderFields header = Header();
    watch::WatchResponse response;
    response.id = Number();
    response.created = random_.Chance(0.5);
    response.canceled = random_.Chance(0.5);
    response.fragment = random_.Chance(0.5);
    response.compacted = Revision(Number());
    response.cancel_reason = random_.Chance(0.5) ? "because" : "";
    response.events = events;
    Fill(header, expected.mutable_header());
    expected.set_watch_id(response.id);
    expected.set_created(response.created);
    expected.set_canceled(response.canceled);
    expected.set_fragment(response.fragment);
    expected.set_compact_revision(response.compacted.value());
    expected.set_cancel_reason(response.cancel_reason);
    rpc::MessageBody body = EncodeWatchResponse(header, response);
    ASSERT_EQ(Bytes(body), expected.SerializeAsString());
    if (events->events.empty()) continue;
    EXPECT_EQ(body.parts()[1].data(), events->encoded.data());
  }
}

}  // namespace
}  // namespace store::api
