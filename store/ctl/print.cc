// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/print.h"

#include "store/base/check.h"
#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <ostream>

namespace store::ctl {
namespace {

class TablePrinter final : public Printer {
 public:
  explicit TablePrinter(std::ostream& out) : Printer("table"), out_(out) {}

  Status MemberList(const pb::MemberListResponse& answer) override {
    out_ << Table({"ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"},
                  MemberRows(answer));
    return Ok();
  }
  Status Health(const std::vector<EndpointHealth>& list) override {
    std::vector<std::vector<std::string>> rows;
    for (const EndpointHealth& one : list) {
      rows.push_back(
          {one.endpoint, one.healthy ? "true" : "false", DurationText(one.took), one.error});
    }
    out_ << Table({"ENDPOINT", "HEALTH", "TOOK", "ERROR"}, rows);
    return Ok();
  }
  Status Statuses(const std::vector<EndpointStatus>& list) override {
    out_ << Table({"ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM",
                   "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS"},
                  StatusRows(list));
    return Ok();
  }
  Status Hashes(const std::vector<EndpointHash>& list) override {
    out_ << Table({"ENDPOINT", "HASH"}, HashRows(list));
    return Ok();
  }

 private:
  std::ostream& out_;
};

// The bytes of the answer; of a lease's answers only the header, as etcdctl does it.
class ProtobufPrinter final : public Printer {
 public:
  explicit ProtobufPrinter(std::ostream& out) : Printer("protobuf"), out_(out) {}

  Status Range(const pb::RangeResponse& answer) override { return Bytes(answer); }
  Status Put(const pb::PutResponse& answer) override { return Bytes(answer); }
  Status Delete(const pb::DeleteRangeResponse& answer) override { return Bytes(answer); }
  Status Txn(const pb::TxnResponse& answer) override { return Bytes(answer); }
  Status Watch(const pb::WatchResponse& answer) override { return Bytes(answer); }
  Status LeaseGrant(const pb::LeaseGrantResponse& answer) override {
    return Bytes(answer.header());
  }
  Status LeaseRevoke(int64_t, const pb::LeaseRevokeResponse& answer) override {
    return Bytes(answer);
  }
  Status LeaseKeepAlive(const pb::LeaseKeepAliveResponse& answer) override {
    return Bytes(answer.header());
  }
  Status LeaseTimeToLive(const pb::LeaseTimeToLiveResponse& answer, bool) override {
    return Bytes(answer.header());
  }
  Status Leases(const pb::LeaseLeasesResponse& answer) override { return Bytes(answer.header()); }
  Status MemberList(const pb::MemberListResponse& answer) override { return Bytes(answer); }
  Status Done(std::string_view, const google::protobuf::Message& answer) override {
    return Bytes(answer);
  }
  Status Alarms(const pb::AlarmResponse& answer) override { return Bytes(answer); }

 private:
  Status Bytes(const google::protobuf::Message& message) {
    out_ << message.SerializeAsString();
    return Ok();
  }

  std::ostream& out_;
};

}  // namespace

Status Printer::Unknown() const {
  return Fail(ErrorCode::kUnsupported, format_name_ + " not supported as output format");
}
Status Printer::Range(const pb::RangeResponse&) { return Unknown(); }
Status Printer::Put(const pb::PutResponse&) { return Unknown(); }
Status Printer::Delete(const pb::DeleteRangeResponse&) { return Unknown(); }
Status Printer::Txn(const pb::TxnResponse&) { return Unknown(); }
Status Printer::Watch(const pb::WatchResponse&) { return Unknown(); }
Status Printer::LeaseGrant(const pb::LeaseGrantResponse&) { return Unknown(); }
Status Printer::LeaseRevoke(int64_t, const pb::LeaseRevokeResponse&) { return Unknown(); }
Status Printer::LeaseKeepAlive(const pb::LeaseKeepAliveResponse&) { return Unknown(); }
Status Printer::LeaseTimeToLive(const pb::LeaseTimeToLiveResponse&, bool) { return Unknown(); }
Status Printer::Leases(const pb::LeaseLeasesResponse&) { return Unknown(); }
Status Printer::MemberList(const pb::MemberListResponse&) { return Unknown(); }
Status Printer::Done(std::string_view, const google::protobuf::Message&) { return Unknown(); }
Status Printer::Alarms(const pb::AlarmResponse&) { return Unknown(); }
Status Printer::Health(const std::vector<EndpointHealth>&) { return Unknown(); }
Status Printer::Statuses(const std::vector<EndpointStatus>&) { return Unknown(); }
Status Printer::Hashes(const std::vector<EndpointHash>&) { return Unknown(); }

std::unique_ptr<Printer> MakeTablePrinter(std::ostream& out) {
  return std::make_unique<TablePrinter>(out);
}

std::unique_ptr<Printer> MakeProtobufPrinter(std::ostream& out) {
  return std::make_unique<ProtobufPrinter>(out);
}

std::unique_ptr<Printer> MakePrinter(OutputFormat format, PrintOptions options, std::ostream& out) {
  switch (format) {
    case OutputFormat::kSimple:
      return MakeSimplePrinter(options, out);
    case OutputFormat::kJson:
      return MakeJsonPrinter(out);
    case OutputFormat::kFields:
      return MakeFieldsPrinter(out);
    case OutputFormat::kTable:
      return MakeTablePrinter(out);
    case OutputFormat::kProtobuf:
      return MakeProtobufPrinter(out);
  }
  CHECK(false, "an output format without a printer");
  return nullptr;
}

std::vector<std::vector<std::string>> MemberRows(const pb::MemberListResponse& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const pb::Member& member : answer.members()) {
    // A member that was added and never started has no name yet.
    rows.push_back({fmt::format("{:x}", member.id()),
                    member.name().empty() ? "unstarted" : "started", member.name(),
                    fmt::format("{}", fmt::join(member.peerurls(), ",")),
                    fmt::format("{}", fmt::join(member.clienturls(), ",")),
                    member.islearner() ? "true" : "false"});
  }
  return rows;
}

std::vector<std::vector<std::string>> StatusRows(const std::vector<EndpointStatus>& list) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [endpoint, status] : list) {
    uint64_t member = status.header().member_id();
    rows.push_back({endpoint, fmt::format("{:x}", member), status.version(),
                    SizeText(static_cast<uint64_t>(status.dbsize())),
                    status.leader() == member ? "true" : "false",
                    status.islearner() ? "true" : "false", fmt::format("{}", status.raftterm()),
                    fmt::format("{}", status.raftindex()),
                    fmt::format("{}", status.raftappliedindex()),
                    fmt::format("{}", fmt::join(status.errors(), ", "))});
  }
  return rows;
}

std::vector<std::vector<std::string>> HashRows(const std::vector<EndpointHash>& list) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [endpoint, hash] : list) {
    rows.push_back({endpoint, fmt::format("{}", hash.hash())});
  }
  return rows;
}

}  // namespace store::ctl
