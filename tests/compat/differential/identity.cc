// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/differential/identity.h"

#include <vector>

namespace compat {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool NamesLease(const FieldDescriptor& field) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_INT64) return false;
  if (field.name() == "lease") return true;
  return field.name() == "ID" && field.containing_type()->name().find("Lease") == 0;
}

void MapLeases(Message& message, const std::map<int64_t, int64_t>& ids) {
  if (ids.empty()) return;
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (NamesLease(*field)) {
      auto found = ids.find(reflection->GetInt64(message, field));
      if (found != ids.end()) reflection->SetInt64(&message, field, found->second);
    } else if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      continue;
    } else if (!field->is_repeated()) {
      MapLeases(*reflection->MutableMessage(&message, field), ids);
    } else {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
        MapLeases(*reflection->MutableRepeatedMessage(&message, field, i), ids);
      }
    }
  }
}

void MapHeader(etcdserverpb::ResponseHeader& header, const etcdserverpb::ResponseHeader& own) {
  if (header.cluster_id() == own.cluster_id()) header.set_cluster_id(Identity::kCluster);
  if (header.member_id() == own.member_id()) header.set_member_id(Identity::kMember);
  if (header.raft_term() == own.raft_term()) header.set_raft_term(Identity::kTerm);
}

}  // namespace

void Identity::Bind(int64_t logical, int64_t chosen) {
  chosen_[logical] = chosen;
  logical_[chosen] = logical;
}

void Identity::MapRequest(Message& request) const { MapLeases(request, chosen_); }

void Identity::MapReply(Message& reply) const {
  MapLeases(reply, logical_);
  const auto* field = reply.GetDescriptor()->FindFieldByName("header");
  const auto* reflection = reply.GetReflection();
  if (field != nullptr && reflection->HasField(reply, field)) {
    MapHeader(*google::protobuf::DynamicCastToGenerated<etcdserverpb::ResponseHeader>(
                  reflection->MutableMessage(&reply, field)),
              own_);
  }
  if (auto* piece =
          google::protobuf::DynamicCastToGenerated<etcdserverpb::RangeStreamResponse>(&reply)) {
    if (piece->range_response().has_header()) {
      MapHeader(*piece->mutable_range_response()->mutable_header(), own_);
    }
  }
  if (auto* status =
          google::protobuf::DynamicCastToGenerated<etcdserverpb::StatusResponse>(&reply)) {
    if (status->leader() == own_.member_id()) status->set_leader(kMember);
    if (status->raftterm() == own_.raft_term()) status->set_raftterm(kTerm);
  }
}

}  // namespace compat
