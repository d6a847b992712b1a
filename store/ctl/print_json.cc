// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/go_text.h"
#include "store/ctl/print.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <ostream>
#include <string_view>
#include <utility>

namespace store::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string MessageJson(const Message& message);

// One value of a field; `index` -1 for a field that is not repeated.
std::string ValueJson(const Message& message, const FieldDescriptor* field, int index) {
  const auto* reflection = message.GetReflection();
  auto get = [&](auto one, auto repeated) {
    return index < 0 ? (reflection->*one)(message, field)
                     : (reflection->*repeated)(message, field, index);
  };
  using R = google::protobuf::Reflection;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::format("{}", get(&R::GetInt32, &R::GetRepeatedInt32));
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("{}", get(&R::GetInt64, &R::GetRepeatedInt64));
    case FieldDescriptor::CPPTYPE_UINT32:
      return fmt::format("{}", get(&R::GetUInt32, &R::GetRepeatedUInt32));
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", get(&R::GetUInt64, &R::GetRepeatedUInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{}", get(&R::GetDouble, &R::GetRepeatedDouble));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return fmt::format("{}", get(&R::GetFloat, &R::GetRepeatedFloat));
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&R::GetBool, &R::GetRepeatedBool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return fmt::format("{}", get(&R::GetEnumValue, &R::GetRepeatedEnumValue));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = get(&R::GetString, &R::GetRepeatedString);
      if (field->type() == FieldDescriptor::TYPE_BYTES) return "\"" + Base64(text) + "\"";
      return JsonText(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(index < 0 ? reflection->GetMessage(message, field)
                                   : reflection->GetRepeatedMessage(message, field, index));
  }
  return "null";
}

std::string FieldJson(const Message& message, const FieldDescriptor* field) {
  if (!field->is_repeated()) return ValueJson(message, field, -1);
  std::vector<std::string> items;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    items.push_back(ValueJson(message, field, i));
  }
  return fmt::format("[{}]", fmt::join(items, ","));
}

// "response_put" is the Go field ResponsePut.
std::string GoName(std::string_view name) {
  std::string out;
  bool upper = true;
  for (char c : name) {
    if (c != '_') out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    upper = c == '_';
  }
  return out;
}

// "name":value of every field that is not zero, in the order of the declaration.
std::vector<std::string> MemberJson(const Message& message) {
  std::vector<std::string> members;
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    bool present = field->is_repeated() ? reflection->FieldSize(message, field) > 0
                                        : reflection->HasField(message, field);
    if (!present) continue;
    std::string value = FieldJson(message, field);
    if (const auto* choice = field->real_containing_oneof(); choice != nullptr) {
      // A oneof is an interface in Go: the field of its name holds a struct with one field.
      members.push_back(fmt::format("\"{}\":{{\"{}\":{}}}", GoName(choice->name()),
                                    GoName(field->name()), value));
    } else {
      members.push_back(fmt::format("\"{}\":{}", field->name(), value));
    }
  }
  return members;
}

std::string MessageJson(const Message& message) {
  return fmt::format("{{{}}}", fmt::join(MemberJson(message), ","));
}

class JsonPrinter final : public Printer {
 public:
  explicit JsonPrinter(std::ostream& out) : Printer("json"), out_(out) {}

  Status Range(const pb::RangeResponse& answer) override { return Line(MessageJson(answer)); }
  Status Put(const pb::PutResponse& answer) override { return Line(MessageJson(answer)); }
  Status Delete(const pb::DeleteRangeResponse& answer) override {
    return Line(MessageJson(answer));
  }
  Status Txn(const pb::TxnResponse& answer) override { return Line(MessageJson(answer)); }
  Status LeaseRevoke(int64_t, const pb::LeaseRevokeResponse& answer) override {
    return Line(MessageJson(answer));
  }
  Status MemberList(const pb::MemberListResponse& answer) override {
    return Line(MessageJson(answer));
  }
  Status Done(std::string_view, const Message& answer) override {
    return Line(MessageJson(answer));
  }
  Status Alarms(const pb::AlarmResponse& answer) override { return Line(MessageJson(answer)); }

  // The Go client's own struct, not the message: no field is left out.
  Status Watch(const pb::WatchResponse& answer) override {
    std::vector<std::string> events;
    for (const auto& event : answer.events()) events.push_back(MessageJson(event));
    return Line(fmt::format(
        R"({{"Header":{},"Events":[{}],"CompactRevision":{},"Canceled":{},"Created":{}}})",
        MessageJson(answer.header()), fmt::join(events, ","), answer.compact_revision(),
        answer.canceled(), answer.created()));
  }

  // The lease answers of the Go client have the header's fields among their own.
  Status LeaseGrant(const pb::LeaseGrantResponse& answer) override {
    return Line(
        WithHeader(answer.header(), fmt::format(R"("ID":{},"TTL":{},"Error":{})", answer.id(),
                                                answer.ttl(), JsonText(answer.error()))));
  }
  Status LeaseKeepAlive(const pb::LeaseKeepAliveResponse& answer) override {
    return Line(
        WithHeader(answer.header(), fmt::format(R"("ID":{},"TTL":{})", answer.id(), answer.ttl())));
  }
  Status LeaseTimeToLive(const pb::LeaseTimeToLiveResponse& answer, bool) override {
    std::vector<std::string> keys;
    for (const std::string& key : answer.keys()) keys.push_back("\"" + Base64(key) + "\"");
    std::string list = keys.empty() ? "null" : fmt::format("[{}]", fmt::join(keys, ","));
    return Line(WithHeader(
        answer.header(), fmt::format(R"("id":{},"ttl":{},"granted-ttl":{},"keys":{})", answer.id(),
                                     answer.ttl(), answer.grantedttl(), list)));
  }
  Status Leases(const pb::LeaseLeasesResponse& answer) override {
    std::vector<std::string> leases;
    for (const auto& lease : answer.leases()) {
      leases.push_back(fmt::format(R"({{"id":{}}})", lease.id()));
    }
    return Line(
        WithHeader(answer.header(), fmt::format(R"("leases":[{}])", fmt::join(leases, ","))));
  }

  Status Health(const std::vector<EndpointHealth>& list) override {
    std::vector<std::string> items;
    for (const EndpointHealth& one : list) {
      std::string error =
          one.error.empty() ? "" : fmt::format(R"(,"error":{})", JsonText(one.error));
      items.push_back(fmt::format(R"({{"endpoint":{},"health":{},"took":{}{}}})",
                                  JsonText(one.endpoint), one.healthy,
                                  JsonText(DurationText(one.took)), error));
    }
    return List(items);
  }
  Status Statuses(const std::vector<EndpointStatus>& list) override {
    std::vector<std::string> items;
    for (const auto& [endpoint, status] : list) {
      items.push_back(
          fmt::format(R"({{"Endpoint":{},"Status":{}}})", JsonText(endpoint), MessageJson(status)));
    }
    return List(items);
  }
  Status Hashes(const std::vector<EndpointHash>& list) override {
    std::vector<std::string> items;
    for (const auto& [endpoint, hash] : list) {
      items.push_back(
          fmt::format(R"({{"Endpoint":{},"HashKV":{}}})", JsonText(endpoint), MessageJson(hash)));
    }
    return List(items);
  }

 private:
  static std::string WithHeader(const pb::ResponseHeader& header, std::string rest) {
    std::vector<std::string> members = MemberJson(header);
    members.push_back(std::move(rest));
    return fmt::format("{{{}}}", fmt::join(members, ","));
  }
  Status Line(const std::string& text) {
    out_ << text << "\n";
    return Ok();
  }
  // An empty Go slice is null.
  Status List(const std::vector<std::string>& items) {
    return Line(items.empty() ? "null" : fmt::format("[{}]", fmt::join(items, ",")));
  }

  std::ostream& out_;
};

}  // namespace

std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out) {
  return std::make_unique<JsonPrinter>(out);
}

}  // namespace store::ctl
