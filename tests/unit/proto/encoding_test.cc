// SPDX-License-Identifier: Apache-2.0
// A few messages against bytes worked out by hand, where a number, a type or a presence rule could
// be wrong without any compiler noticing; and the rules that our own formats rest on.
#include "agent_status.pb.h"
#include "etcd/auth.pb.h"
#include "etcd/kv.pb.h"
#include "etcd/rpc.pb.h"
#include "peer.pb.h"
#include "store_command.pb.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace {

using namespace std::string_literals;

TEST(Encoding, PutRequest) {
  etcdserverpb::PutRequest put;
  put.set_key("a");
  put.set_value("bc");
  put.set_lease(300);
  put.set_prev_kv(true);
  EXPECT_EQ(put.SerializeAsString(),
            "\x0a\x01"
            "a"
            "\x12\x02"
            "bc"
            "\x18\xac\x02"
            "\x20\x01"s);
}

TEST(Encoding, ZeroValuesAreNotSent) {
  etcdserverpb::RangeRequest range;
  range.set_limit(0);
  range.set_sort_target(etcdserverpb::RangeRequest::KEY);
  EXPECT_EQ(range.SerializeAsString(), "");
}

TEST(Encoding, RangeToTheEndOfTheKeySpace) {
  etcdserverpb::RangeRequest range;
  range.set_key("\0"s);
  range.set_range_end("\0"s);
  range.set_sort_order(etcdserverpb::RangeRequest::DESCEND);
  range.set_max_create_revision(1);
  EXPECT_EQ(range.SerializeAsString(), "\x0a\x01\x00\x12\x01\x00\x28\x02\x68\x01"s);
}

// Field 64 is the only number of the API that needs a tag of two bytes: 64 << 3 | 2 = 514.
TEST(Encoding, CompareWithRangeEnd) {
  etcdserverpb::Compare compare;
  compare.set_result(etcdserverpb::Compare::NOT_EQUAL);
  compare.set_target(etcdserverpb::Compare::LEASE);
  compare.set_key("k");
  compare.set_lease(7);
  compare.set_range_end("l");
  EXPECT_EQ(compare.SerializeAsString(),
            "\x08\x03\x10\x04\x1a\x01"
            "k\x40\x07\x82\x04\x01"
            "l"s);
}

// A oneof member is sent even when it is zero: "version == 0" is how clients ask for absence.
TEST(Encoding, CompareWithZeroVersionKeepsTheMember) {
  etcdserverpb::Compare compare;
  compare.set_key("k");
  compare.set_version(0);
  EXPECT_EQ(compare.SerializeAsString(),
            "\x1a\x01"
            "k\x20\x00"s);
}

TEST(Encoding, WatchFiltersArePackedAndReadUnpackedToo) {
  etcdserverpb::WatchCreateRequest create;
  create.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  create.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  EXPECT_EQ(create.SerializeAsString(), "\x2a\x02\x00\x01"s);

  etcdserverpb::WatchCreateRequest unpacked;
  ASSERT_TRUE(unpacked.ParseFromString("\x28\x00\x28\x01"s));
  EXPECT_EQ(unpacked.SerializeAsString(), create.SerializeAsString());
}

TEST(Encoding, WatchResponseWithADeletion) {
  etcdserverpb::WatchResponse response;
  response.mutable_header()->set_revision(5);
  response.set_watch_id(-1);
  mvccpb::Event* event = response.add_events();
  event->set_type(mvccpb::Event::DELETE);
  event->mutable_kv()->set_key("k");
  event->mutable_kv()->set_mod_revision(5);
  EXPECT_EQ(response.SerializeAsString(),
            "\x0a\x02\x18\x05"
            "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
            "\x5a\x09\x08\x01\x12\x05\x0a\x01"
            "k\x18\x05"s);
}

TEST(Encoding, NestedTransactionSurvivesTheRoundTrip) {
  etcdserverpb::TxnRequest outer;
  outer.add_success()->mutable_request_txn()->add_failure()->mutable_request_put()->set_key("x");
  EXPECT_EQ(outer.SerializeAsString(),
            "\x12\x09\x22\x07\x1a\x05\x12\x03\x0a\x01"
            "x"s);
  etcdserverpb::TxnRequest read;
  ASSERT_TRUE(read.ParseFromString(outer.SerializeAsString()));
  EXPECT_EQ(read.success(0).request_txn().failure(0).request_put().key(), "x");
}

TEST(Encoding, UnknownFieldsOfNewerClientsAreSkipped) {
  etcdserverpb::LeaseGrantRequest grant;
  ASSERT_TRUE(grant.ParseFromString("\x08\x0a\xfa\x07\x03new"s));
  EXPECT_EQ(grant.ttl(), 10);
}

TEST(Encoding, PermissionOfARole) {
  authpb::Role role;
  role.set_name("r");
  authpb::Permission* permission = role.add_keypermission();
  permission->set_permtype(authpb::Permission::READWRITE);
  permission->set_key("a");
  EXPECT_EQ(role.SerializeAsString(),
            "\x0a\x01r\x12\x05\x08\x02\x12\x01"
            "a"s);
}

TEST(Command, BytesOfAPut) {
  sluice::store::Command command;
  command.set_format(1);
  command.mutable_header()->set_member_id(0x0102030405060708);
  command.mutable_header()->set_boot_nonce(1);
  command.mutable_header()->set_loop(2);
  command.mutable_header()->set_counter(3);
  command.mutable_put()->set_key("k");
  EXPECT_EQ(command.SerializeAsString(),
            "\x08\x01"
            "\x12\x16"
            "\x09\x08\x07\x06\x05\x04\x03\x02\x01"
            "\x11\x01\x00\x00\x00\x00\x00\x00\x00"
            "\x18\x02\x20\x03"
            "\x1a\x03\x0a\x01k"s);
}

// The edge may append a request as it came from the client instead of encoding it again.
TEST(Command, BodyMayBeSplicedBehindTheHeader) {
  sluice::store::Command head;
  head.set_format(1);
  head.mutable_header()->set_counter(9);
  etcdserverpb::DeleteRangeRequest request;
  request.set_key("gone");
  const std::string body = request.SerializeAsString();
  const std::string spliced =
      head.SerializeAsString() + "\x22"s + static_cast<char>(body.size()) + body;

  sluice::store::Command read;
  ASSERT_TRUE(read.ParseFromString(spliced));
  EXPECT_EQ(read.body_case(), sluice::store::Command::kDeleteRange);
  EXPECT_EQ(read.delete_range().key(), "gone");
  EXPECT_EQ(read.SerializeAsString(), spliced);
}

// A member that must stop at commands of a newer release has to be able to see them.
TEST(Command, NewerBodyReadsAsNotSet) {
  sluice::store::Command read;
  ASSERT_TRUE(read.ParseFromString("\x08\x01\x82\x02\x00"s));
  EXPECT_EQ(read.format(), 1u);
  EXPECT_EQ(read.body_case(), sluice::store::Command::BODY_NOT_SET);
}

TEST(Peer, AppendCarriesEntriesAsTheyWereEncoded) {
  sluice::peer::Entry entry;
  entry.set_term(2);
  entry.set_index(3);
  entry.set_kind(sluice::peer::COMMAND);
  entry.set_data("d");
  EXPECT_EQ(entry.SerializeAsString(),
            "\x08\x02\x10\x03\x18\x01\x22\x01"
            "d"s);

  sluice::peer::AppendRequest append;
  append.set_term(2);
  append.add_entries(entry.SerializeAsString());
  EXPECT_EQ(append.SerializeAsString(), "\x08\x02\x2a\x09" + entry.SerializeAsString());
}

TEST(AgentStatus, JsonHasTheNamesOfTheFile) {
  sluice::agent::Status status;
  status.set_state(sluice::agent::Status::PARTIAL);
  status.set_applied_hash("ab");
  sluice::agent::Entry* entry = status.add_entries();
  entry->set_state(sluice::agent::Entry::NO_MATCH);
  entry->set_matched_files(2);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(status, &json, options).ok());
  EXPECT_EQ(json, R"({"state":"PARTIAL","applied_hash":"ab",)"
                  R"("entries":[{"state":"NO_MATCH","matched_files":2}]})");
}

// The agent writes 64-bit numbers as JSON numbers, not in protobuf's own form as strings.
TEST(AgentStatus, ReadsJsonNumbersAndSkipsUnknownMembers) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  sluice::agent::Status status;
  const std::string json =
      R"({"applied_revision":42,"entries":[{"lag_bytes":7,"lost_bytes":{"too_large":3}}],"later":1})";
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &status, options).ok());
  EXPECT_EQ(status.applied_revision(), 42);
  EXPECT_EQ(status.entries(0).lag_bytes(), 7u);
  EXPECT_EQ(status.entries(0).lost_bytes().at("too_large"), 3u);
}

}  // namespace
