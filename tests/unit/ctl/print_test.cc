// SPDX-License-Identifier: Apache-2.0
// The expected texts are what etcdctl 3.4.23 printed for the same answers.
#include "store/ctl/print.h"

#include <gtest/gtest.h>

#include <sstream>

namespace store::ctl {
namespace {

void SetHeader(pb::ResponseHeader* header) {
  header->set_cluster_id(324952591200643719);
  header->set_member_id(3319814642761637952);
  header->set_revision(16);
  header->set_raft_term(2);
}

constexpr std::string_view kHeaderJson =
    R"({"cluster_id":324952591200643719,"member_id":3319814642761637952,"revision":16,"raft_term":2)";

void SetPair(mvccpb::KeyValue* kv, const std::string& key, const std::string& value) {
  kv->set_key(key);
  kv->set_value(value);
  kv->set_create_revision(7);
  kv->set_mod_revision(11);
  kv->set_version(5);
}

template <class Call>
std::string Printed(OutputFormat format, Call call, PrintOptions options = {}) {
  std::ostringstream out;
  auto printer = MakePrinter(format, options, out);
  Status status = call(*printer);
  return status ? out.str() : "refused: " + status.error().message();
}

pb::RangeResponse OneKey() {
  pb::RangeResponse answer;
  SetHeader(answer.mutable_header());
  SetPair(answer.add_kvs(), "a", "<x>&\"q");
  answer.set_count(1);
  return answer;
}

auto PrintRange(const pb::RangeResponse& answer) {
  return [answer](Printer& printer) { return printer.Range(answer); };
}

TEST(PrintTest, RangeInEveryFormat) {
  auto print = PrintRange(OneKey());
  EXPECT_EQ(Printed(OutputFormat::kSimple, print), "a\n<x>&\"q\n");
  EXPECT_EQ(Printed(OutputFormat::kSimple, print, {.values_only = true}), "<x>&\"q\n");
  EXPECT_EQ(Printed(OutputFormat::kSimple, print, {.hex = true}),
            "\\x61\n\\x3c\\x78\\x3e\\x26\\x22\\x71\n");
  EXPECT_EQ(Printed(OutputFormat::kJson, print),
            R"({"header":)" + std::string(kHeaderJson) +
                R"(},"kvs":[{"key":"YQ==","create_revision":7,"mod_revision":11,"version":5,)"
                R"("value":"PHg+JiJx"}],"count":1})"
                "\n");
  EXPECT_EQ(Printed(OutputFormat::kFields, print),
            "\"ClusterID\" : 324952591200643719\n\"MemberID\" : 3319814642761637952\n"
            "\"Revision\" : 16\n\"RaftTerm\" : 2\n\"Key\" : \"a\"\n\"CreateRevision\" : 7\n"
            "\"ModRevision\" : 11\n\"Version\" : 5\n\"Value\" : \"<x>&\\\"q\"\n\"Lease\" : 0\n"
            "\"More\" : false\n\"Count\" : 1\n");
  EXPECT_EQ(Printed(OutputFormat::kTable, print), "refused: table not supported as output format");
  EXPECT_EQ(Printed(OutputFormat::kProtobuf, print), OneKey().SerializeAsString());
}

TEST(PrintTest, TransactionsNameTheirAnswersAsGoDoes) {
  pb::TxnResponse txn;
  txn.set_succeeded(true);
  txn.add_responses()->mutable_response_put()->mutable_header()->set_revision(16);
  pb::DeleteRangeResponse* deleted = txn.add_responses()->mutable_response_delete_range();
  deleted->set_deleted(1);
  SetPair(deleted->add_prev_kvs(), "k", "v");
  auto print = [&](Printer& printer) { return printer.Txn(txn); };
  EXPECT_EQ(Printed(OutputFormat::kSimple, print), "SUCCESS\n\nOK\n\n1\nk\nv\n");
  EXPECT_EQ(
      Printed(OutputFormat::kJson, print),
      R"({"succeeded":true,"responses":[{"Response":{"ResponsePut":{"header":{"revision":16}}}},)"
      R"({"Response":{"ResponseDeleteRange":{"deleted":1,"prev_kvs":[{"key":"aw==",)"
      R"("create_revision":7,"mod_revision":11,"version":5,"value":"dg=="}]}}}]})"
      "\n");
}

TEST(PrintTest, WatchEventsAndCancelledWatches) {
  pb::WatchResponse answer;
  auto* event = answer.add_events();
  event->set_type(mvccpb::Event::DELETE);
  event->mutable_kv()->set_key("k1");
  SetPair(event->mutable_prev_kv(), "k1", "x");
  auto print = [&](Printer& printer) { return printer.Watch(answer); };
  EXPECT_EQ(Printed(OutputFormat::kSimple, print), "DELETE\nk1\nx\nk1\n\n");
  EXPECT_EQ(Printed(OutputFormat::kJson, print),
            R"({"Header":{},"Events":[{"type":1,"kv":{"key":"azE="},"prev_kv":{"key":"azE=",)"
            R"("create_revision":7,"mod_revision":11,"version":5,"value":"eA=="}}],)"
            R"("CompactRevision":0,"Canceled":false,"Created":false})"
            "\n");
  pb::WatchResponse gone;
  gone.set_canceled(true);
  gone.set_compact_revision(13);
  EXPECT_EQ(Printed(OutputFormat::kJson, [&](Printer& printer) { return printer.Watch(gone); }),
            R"({"Header":{},"Events":[],"CompactRevision":13,"Canceled":true,"Created":false})"
            "\n");
}

TEST(PrintTest, Leases) {
  pb::LeaseTimeToLiveResponse answer;
  answer.set_id(0x123);
  answer.set_ttl(-1);
  auto print = [&](Printer& printer) { return printer.LeaseTimeToLive(answer, true); };
  EXPECT_EQ(Printed(OutputFormat::kSimple, print), "lease 0000000000000123 already expired\n");
  EXPECT_EQ(Printed(OutputFormat::kJson, print),
            "{\"id\":291,\"ttl\":-1,\"granted-ttl\":0,\"keys\":null}\n");
  answer.set_ttl(9);
  answer.set_grantedttl(10);
  answer.add_keys("k1");
  answer.add_keys("k2");
  EXPECT_EQ(
      Printed(OutputFormat::kSimple, print),
      "lease 0000000000000123 granted with TTL(10s), remaining(9s), attached keys([k1 k2])\n");
  pb::LeaseGrantResponse grant;
  grant.set_id(-1);
  grant.set_ttl(5);
  EXPECT_EQ(
      Printed(OutputFormat::kSimple, [&](Printer& printer) { return printer.LeaseGrant(grant); }),
      "lease ffffffffffffffff granted with TTL(5s)\n");
}

TEST(PrintTest, MembersAndEndpoints) {
  pb::MemberListResponse members;
  pb::Member* member = members.add_members();
  member->set_id(0x2e1259d415f2a040);
  member->add_peerurls("http://h:1");
  EXPECT_EQ(
      Printed(OutputFormat::kSimple, [&](Printer& printer) { return printer.MemberList(members); }),
      "2e1259d415f2a040, unstarted, , http://h:1, , false\n");
  EXPECT_EQ(
      Printed(OutputFormat::kJson, [&](Printer& printer) { return printer.MemberList(members); }),
      R"({"members":[{"ID":3319814642761637952,"peerURLs":["http://h:1"]}]})"
      "\n");
  std::vector<EndpointStatus> list(1);
  list[0].endpoint = "h:1";
  SetHeader(list[0].status.mutable_header());
  list[0].status.set_version("3.4.23");
  list[0].status.set_dbsize(20480);
  list[0].status.set_leader(3319814642761637952);
  EXPECT_EQ(
      Printed(OutputFormat::kSimple, [&](Printer& printer) { return printer.Statuses(list); }),
      "h:1, 2e1259d415f2a040, 3.4.23, 20 kB, true, false, 0, 0, 0, \n");
  std::vector<EndpointHealth> health = {{"h:1", false, std::chrono::seconds(1), "no"}};
  EXPECT_EQ(Printed(OutputFormat::kJson, [&](Printer& printer) { return printer.Health(health); }),
            R"([{"endpoint":"h:1","health":false,"took":"1s","error":"no"}])"
            "\n");
}

}  // namespace
}  // namespace store::ctl
