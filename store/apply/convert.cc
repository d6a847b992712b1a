// SPDX-License-Identifier: Apache-2.0
#include "store/apply/convert.h"

namespace store::apply {
namespace {

using etcdserverpb::RangeRequest;
using mvcc::SortOrder;
using mvcc::SortTarget;

SortOrder OrderOf(const RangeRequest& request) {
  switch (request.sort_order()) {
    case RangeRequest::ASCEND:
      return SortOrder::kAscend;
    case RangeRequest::DESCEND:
      return SortOrder::kDescend;
    default:
      return SortOrder::kNone;
  }
}

SortTarget TargetOf(const RangeRequest& request) {
  switch (request.sort_target()) {
    case RangeRequest::VERSION:
      return SortTarget::kVersion;
    case RangeRequest::CREATE:
      return SortTarget::kCreate;
    case RangeRequest::MOD:
      return SortTarget::kMod;
    case RangeRequest::VALUE:
      return SortTarget::kValue;
    default:
      return SortTarget::kKey;
  }
}

}  // namespace

void ToProto(const mvcc::KeyValue& from, mvccpb::KeyValue* to) {
  to->set_key(from.key.data(), from.key.size());
  if (!from.value.empty()) to->set_value(from.value.data(), from.value.size());
  to->set_create_revision(from.create.value());
  to->set_mod_revision(from.mod.value());
  to->set_version(from.version);
  to->set_lease(from.lease.value());
}

mvcc::RangeQuery ToQuery(const RangeRequest& request) {
  mvcc::RangeQuery query;
  query.range = RangeOf(request);
  query.at = Revision(request.revision());
  query.limit = request.limit();
  query.order = OrderOf(request);
  query.target = TargetOf(request);
  query.keys_only = request.keys_only();
  query.count_only = request.count_only();
  query.min_mod = Revision(request.min_mod_revision());
  query.max_mod = Revision(request.max_mod_revision());
  query.min_create = Revision(request.min_create_revision());
  query.max_create = Revision(request.max_create_revision());
  return query;
}

void ToProto(const mvcc::RangeResult& from, etcdserverpb::RangeResponse* to) {
  to->mutable_kvs()->Reserve(static_cast<int>(from.kvs.size()));
  for (const mvcc::KeyValue& kv : from.kvs) ToProto(kv, to->add_kvs());
  to->set_more(from.more);
  to->set_count(from.count);
}

}  // namespace store::apply
