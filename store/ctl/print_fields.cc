// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/go_text.h"
#include "store/ctl/print.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <ostream>
#include <string_view>

namespace store::ctl {
namespace {

// Lines of "Name" : value.
class FieldsPrinter final : public Printer {
 public:
  explicit FieldsPrinter(std::ostream& out) : Printer("fields"), out_(out) {}

  Status Range(const pb::RangeResponse& answer) override {
    Header(answer.header());
    for (const auto& kv : answer.kvs()) Pair("", kv);
    Field("More", answer.more());
    Field("Count", answer.count());
    return Ok();
  }

  Status Put(const pb::PutResponse& answer) override {
    Header(answer.header());
    if (answer.has_prev_kv()) Pair("Prev", answer.prev_kv());
    return Ok();
  }

  Status Delete(const pb::DeleteRangeResponse& answer) override {
    Header(answer.header());
    Field("Deleted", answer.deleted());
    for (const auto& kv : answer.prev_kvs()) Pair("Prev", kv);
    return Ok();
  }

  Status Txn(const pb::TxnResponse& answer) override {
    Header(answer.header());
    Field("Succeeded", answer.succeeded());
    for (const pb::ResponseOp& one : answer.responses()) RETURN_IF_ERROR(Response(one));
    return Ok();
  }

  Status Watch(const pb::WatchResponse& answer) override {
    Header(answer.header());
    for (const auto& event : answer.events()) {
      Field("Type", event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE");
      if (event.has_prev_kv()) Pair("Prev", event.prev_kv());
      Pair("", event.kv());
    }
    return Ok();
  }

  Status LeaseGrant(const pb::LeaseGrantResponse& answer) override {
    Header(answer.header());
    Field("ID", answer.id());
    Field("TTL", answer.ttl());
    return Ok();
  }

  Status LeaseRevoke(int64_t, const pb::LeaseRevokeResponse& answer) override {
    Header(answer.header());
    return Ok();
  }

  Status LeaseKeepAlive(const pb::LeaseKeepAliveResponse& answer) override {
    Header(answer.header());
    Field("ID", answer.id());
    Field("TTL", answer.ttl());
    return Ok();
  }

  Status LeaseTimeToLive(const pb::LeaseTimeToLiveResponse& answer, bool) override {
    Header(answer.header());
    Field("ID", answer.id());
    Field("TTL", answer.ttl());
    Field("GrantedTTL", answer.grantedttl());
    for (const std::string& key : answer.keys()) Field("Key", Quoted(key));
    return Ok();
  }

  Status Leases(const pb::LeaseLeasesResponse& answer) override {
    Header(answer.header());
    for (const auto& lease : answer.leases()) Field("ID", lease.id());
    return Ok();
  }

  Status MemberList(const pb::MemberListResponse& answer) override {
    Header(answer.header());
    for (const pb::Member& member : answer.members()) {
      Field("ID", member.id());
      Field("Name", Quoted(member.name()));
      for (const std::string& url : member.peerurls()) Field("PeerURL", Quoted(url));
      for (const std::string& url : member.clienturls()) Field("ClientURL", Quoted(url));
      Field("IsLearner", member.islearner());
      fmt::print(out_, "\n");
    }
    return Ok();
  }

  Status Alarms(const pb::AlarmResponse& answer) override {
    Header(answer.header());
    for (const pb::AlarmMember& alarm : answer.alarms()) {
      Field("MemberID", alarm.memberid());
      Field("AlarmType", pb::AlarmType_Name(alarm.alarm()));
      fmt::print(out_, "\n");
    }
    return Ok();
  }

  Status Health(const std::vector<EndpointHealth>& list) override {
    for (const EndpointHealth& one : list) {
      Field("Endpoint", Quoted(one.endpoint));
      Field("Health", one.healthy);
      Field("Took", DurationText(one.took));
      Field("Error", one.error);
      fmt::print(out_, "\n");
    }
    return Ok();
  }

  Status Statuses(const std::vector<EndpointStatus>& list) override {
    for (const auto& [endpoint, status] : list) {
      Header(status.header());
      Field("Version", Quoted(status.version()));
      Field("DBSize", status.dbsize());
      Field("Leader", status.leader());
      Field("IsLearner", status.islearner());
      Field("RaftIndex", status.raftindex());
      Field("RaftTerm", status.raftterm());
      Field("RaftAppliedIndex", status.raftappliedindex());
      Field("Errors", fmt::format("[{}]", fmt::join(status.errors(), " ")));
      Field("Endpoint", Quoted(endpoint));
      fmt::print(out_, "\n");
    }
    return Ok();
  }

  Status Hashes(const std::vector<EndpointHash>& list) override {
    for (const auto& [endpoint, hash] : list) {
      Header(hash.header());
      Field("Endpoint", Quoted(endpoint));
      Field("Hash", hash.hash());
      fmt::print(out_, "\n");
    }
    return Ok();
  }

 private:
  template <class Value>
    requires fmt::is_formattable<Value>::value
  void Field(std::string_view name, const Value& value) {
    fmt::print(out_, "\"{}\" : {}\n", name, value);
  }

  void Header(const pb::ResponseHeader& header) {
    Field("ClusterID", header.cluster_id());
    Field("MemberID", header.member_id());
    Field("Revision", header.revision());
    Field("RaftTerm", header.raft_term());
  }

  void Pair(std::string_view prefix, const mvccpb::KeyValue& kv) {
    auto field = [&](std::string_view name, const auto& value) {
      Field(fmt::format("{}{}", prefix, name), value);
    };
    field("Key", Quoted(kv.key()));
    field("CreateRevision", kv.create_revision());
    field("ModRevision", kv.mod_revision());
    field("Version", kv.version());
    field("Value", Quoted(kv.value()));
    field("Lease", kv.lease());
  }

  Status Response(const pb::ResponseOp& one) {
    switch (one.response_case()) {
      case pb::ResponseOp::kResponseRange:
        return Range(one.response_range());
      case pb::ResponseOp::kResponsePut:
        return Put(one.response_put());
      case pb::ResponseOp::kResponseDeleteRange:
        return Delete(one.response_delete_range());
      case pb::ResponseOp::kResponseTxn:
        return Txn(one.response_txn());
      case pb::ResponseOp::RESPONSE_NOT_SET:
        break;
    }
    return Ok();
  }

  std::ostream& out_;
};

}  // namespace

std::unique_ptr<Printer> MakeFieldsPrinter(std::ostream& out) {
  return std::make_unique<FieldsPrinter>(out);
}

}  // namespace store::ctl
