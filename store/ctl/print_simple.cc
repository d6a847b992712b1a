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

class SimplePrinter final : public Printer {
 public:
  SimplePrinter(PrintOptions options, std::ostream& out)
      : Printer("simple"), options_(options), out_(out) {}

  Status Range(const pb::RangeResponse& answer) override {
    for (const auto& kv : answer.kvs()) Pair(kv);
    return Ok();
  }

  Status Put(const pb::PutResponse& answer) override {
    fmt::print(out_, "OK\n");
    if (answer.has_prev_kv()) Pair(answer.prev_kv());
    return Ok();
  }

  Status Delete(const pb::DeleteRangeResponse& answer) override {
    fmt::print(out_, "{}\n", answer.deleted());
    for (const auto& kv : answer.prev_kvs()) Pair(kv);
    return Ok();
  }

  Status Txn(const pb::TxnResponse& answer) override {
    fmt::print(out_, "{}\n", answer.succeeded() ? "SUCCESS" : "FAILURE");
    for (const pb::ResponseOp& one : answer.responses()) {
      fmt::print(out_, "\n");
      RETURN_IF_ERROR(Response(one));
    }
    return Ok();
  }

  Status Watch(const pb::WatchResponse& answer) override {
    for (const auto& event : answer.events()) {
      fmt::print(out_, "{}\n", event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE");
      if (event.has_prev_kv()) Pair(event.prev_kv());
      Pair(event.kv());
    }
    return Ok();
  }

  Status LeaseGrant(const pb::LeaseGrantResponse& answer) override {
    fmt::print(out_, "lease {:016x} granted with TTL({}s)\n", Id(answer.id()), answer.ttl());
    return Ok();
  }

  Status LeaseRevoke(int64_t lease, const pb::LeaseRevokeResponse&) override {
    fmt::print(out_, "lease {:016x} revoked\n", Id(lease));
    return Ok();
  }

  Status LeaseKeepAlive(const pb::LeaseKeepAliveResponse& answer) override {
    fmt::print(out_, "lease {:016x} keepalived with TTL({})\n", Id(answer.id()), answer.ttl());
    return Ok();
  }

  Status LeaseTimeToLive(const pb::LeaseTimeToLiveResponse& answer, bool keys) override {
    if (answer.grantedttl() == 0 && answer.ttl() == -1) {
      fmt::print(out_, "lease {:016x} already expired\n", Id(answer.id()));
      return Ok();
    }
    fmt::print(out_, "lease {:016x} granted with TTL({}s), remaining({}s)", Id(answer.id()),
               answer.grantedttl(), answer.ttl());
    if (keys) fmt::print(out_, ", attached keys([{}])", fmt::join(answer.keys(), " "));
    fmt::print(out_, "\n");
    return Ok();
  }

  Status Leases(const pb::LeaseLeasesResponse& answer) override {
    fmt::print(out_, "found {} leases\n", answer.leases_size());
    for (const auto& lease : answer.leases()) fmt::print(out_, "{:016x}\n", Id(lease.id()));
    return Ok();
  }

  Status MemberList(const pb::MemberListResponse& answer) override {
    return Lines(MemberRows(answer));
  }

  Status Done(std::string_view line, const google::protobuf::Message&) override {
    fmt::print(out_, "{}\n", line);
    return Ok();
  }

  Status Alarms(const pb::AlarmResponse& answer) override {
    for (const pb::AlarmMember& alarm : answer.alarms()) {
      // The text form of the message, with the blank at its end.
      fmt::print(out_, "memberID:{} alarm:{} \n", alarm.memberid(),
                 pb::AlarmType_Name(alarm.alarm()));
    }
    return Ok();
  }

  // The unhealthy ones are the caller's to tell, on stderr.
  Status Health(const std::vector<EndpointHealth>& list) override {
    for (const EndpointHealth& one : list) {
      if (!one.healthy) continue;
      fmt::print(out_, "{} is healthy: successfully committed proposal: took = {}\n", one.endpoint,
                 DurationText(one.took));
    }
    return Ok();
  }

  Status Statuses(const std::vector<EndpointStatus>& list) override {
    return Lines(StatusRows(list));
  }

  Status Hashes(const std::vector<EndpointHash>& list) override { return Lines(HashRows(list)); }

 private:
  // Ids are unsigned in print.
  static uint64_t Id(int64_t id) { return static_cast<uint64_t>(id); }

  void Pair(const mvccpb::KeyValue& kv) {
    std::string key = options_.hex ? HexEscaped(kv.key()) : kv.key();
    std::string value = options_.hex ? HexEscaped(kv.value()) : kv.value();
    if (!options_.values_only) out_ << key << "\n";
    out_ << value << "\n";
  }

  Status Lines(const std::vector<std::vector<std::string>>& rows) {
    for (const auto& row : rows) fmt::print(out_, "{}\n", fmt::join(row, ", "));
    return Ok();
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

  const PrintOptions options_;
  std::ostream& out_;
};

}  // namespace

std::unique_ptr<Printer> MakeSimplePrinter(PrintOptions options, std::ostream& out) {
  return std::make_unique<SimplePrinter>(options, out);
}

}  // namespace store::ctl
