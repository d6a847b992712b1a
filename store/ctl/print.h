// SPDX-License-Identifier: Apache-2.0
// Printer: answers as text, in the five formats of etcdctl 3.4 (README: where newer releases differ
// and what we follow). A format that does not know an answer says kUnsupported and has printed
// nothing. One thread; the stream outlives the printer.
#pragma once

#include "etcd/rpc.pb.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/ctl/options.h"

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace store::ctl {

namespace pb = etcdserverpb;

struct EndpointHealth {
  std::string endpoint;
  bool healthy = false;
  Duration took = Duration::zero();
  std::string error{};
};
struct EndpointStatus {
  std::string endpoint;
  pb::StatusResponse status;
};
struct EndpointHash {
  std::string endpoint;
  pb::HashKVResponse hash;
};

class Printer {
 public:
  explicit Printer(std::string format_name) : format_name_(std::move(format_name)) {}
  virtual ~Printer() = default;

  virtual Status Range(const pb::RangeResponse& answer);
  virtual Status Put(const pb::PutResponse& answer);
  virtual Status Delete(const pb::DeleteRangeResponse& answer);
  virtual Status Txn(const pb::TxnResponse& answer);
  virtual Status Watch(const pb::WatchResponse& answer);
  virtual Status LeaseGrant(const pb::LeaseGrantResponse& answer);
  virtual Status LeaseRevoke(int64_t lease, const pb::LeaseRevokeResponse& answer);
  virtual Status LeaseKeepAlive(const pb::LeaseKeepAliveResponse& answer);
  virtual Status LeaseTimeToLive(const pb::LeaseTimeToLiveResponse& answer, bool keys);
  virtual Status Leases(const pb::LeaseLeasesResponse& answer);
  virtual Status MemberList(const pb::MemberListResponse& answer);
  // An answer whose simple form is one line, and which only json and protobuf show otherwise.
  virtual Status Done(std::string_view line, const google::protobuf::Message& answer);
  virtual Status Alarms(const pb::AlarmResponse& answer);
  virtual Status Health(const std::vector<EndpointHealth>& list);
  virtual Status Statuses(const std::vector<EndpointStatus>& list);
  virtual Status Hashes(const std::vector<EndpointHash>& list);

 private:
  Status Unknown() const;
  const std::string format_name_;
};

struct PrintOptions {
  bool hex = false;
  bool values_only = false;
};

std::unique_ptr<Printer> MakePrinter(OutputFormat format, PrintOptions options, std::ostream& out);

// The parts of MakePrinter, each in a file of its own.
std::unique_ptr<Printer> MakeSimplePrinter(PrintOptions options, std::ostream& out);
std::unique_ptr<Printer> MakeFieldsPrinter(std::ostream& out);
std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out);
std::unique_ptr<Printer> MakeTablePrinter(std::ostream& out);
std::unique_ptr<Printer> MakeProtobufPrinter(std::ostream& out);

// Rows that the simple and the table form share.
std::vector<std::vector<std::string>> MemberRows(const pb::MemberListResponse& answer);
std::vector<std::vector<std::string>> StatusRows(const std::vector<EndpointStatus>& list);
std::vector<std::vector<std::string>> HashRows(const std::vector<EndpointHash>& list);

}  // namespace store::ctl
