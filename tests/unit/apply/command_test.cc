// SPDX-License-Identifier: Apache-2.0
#include "store/apply/command.h"

#include <gtest/gtest.h>

namespace store::apply {
namespace {

using sluice::store::Command;

TEST(CommandTest, TellsWhoAsked) {
  Command command;
  command.mutable_put()->set_key("k");
  RequestId id{0xffffffffffffffffU, 42, LoopId(3), 17};
  Command decoded;
  ASSERT_TRUE(DecodeCommand(EncodeCommand(id, command), &decoded));
  EXPECT_EQ(IdOf(decoded.header()), id);
  EXPECT_EQ(decoded.put().key(), "k");
}

TEST(CommandTest, ExpiryHasManyIdsAndNobodyWaits) {
  std::vector<LeaseId> ids = {LeaseId(5), LeaseId(-7)};
  Command decoded;
  ASSERT_TRUE(DecodeCommand(EncodeLeaseExpiry(ids), &decoded));
  EXPECT_EQ(IdOf(decoded.header()).counter, 0U);
  ASSERT_EQ(decoded.lease_revoke().ids_size(), 2);
  EXPECT_EQ(decoded.lease_revoke().ids(1), -7);
}

TEST(CommandTest, ANewerFormatOrAnUnknownBodyStopsTheMember) {
  Command command;
  command.set_format(2);
  command.mutable_put()->set_key("k");
  Command decoded;
  EXPECT_EQ(DecodeCommand(command.SerializeAsString(), &decoded).error().code(),
            ErrorCode::kUnsupported);
  Command empty;
  EXPECT_EQ(DecodeCommand(EncodeCommand(RequestId(), empty), &decoded).error().code(),
            ErrorCode::kUnsupported);
}

TEST(CommandTest, BytesThatAreNoCommandAreCorruption) {
  Command decoded;
  EXPECT_EQ(DecodeCommand("\xff\xff\xff", &decoded).error().code(), ErrorCode::kCorruption);
}

TEST(CommandTest, WhatTheEdgeCouldParseParsesHereToo) {
  // Given a transaction nested as deep as protobuf lets the edge parse it.
  etcdserverpb::TxnRequest deepest;
  for (int depth = 0; depth < 120; ++depth) {
    etcdserverpb::TxnRequest outer;
    *outer.add_success()->mutable_request_txn() = deepest;
    etcdserverpb::TxnRequest parsed;
    if (!parsed.ParseFromString(outer.SerializeAsString())) break;
    deepest = std::move(outer);
  }
  Command command;
  *command.mutable_txn() = deepest;
  // Then the command around it can be read by every member.
  Command decoded;
  EXPECT_TRUE(DecodeCommand(EncodeCommand(RequestId(), command), &decoded));
  EXPECT_EQ(decoded.txn().SerializeAsString(), deepest.SerializeAsString());
}

}  // namespace
}  // namespace store::apply
