// SPDX-License-Identifier: Apache-2.0
#include "store/apply/quota.h"

#include <algorithm>

namespace store::apply {
namespace {

using etcdserverpb::RequestOp;
using sluice::store::Command;

constexpr int64_t kPutOverhead = 256;  // what etcd reckons for a record beside key and value

int64_t CostOfBranch(const google::protobuf::RepeatedPtrField<RequestOp>& branch) {
  int64_t cost = 0;
  for (const RequestOp& op : branch) {
    if (op.has_request_put()) cost += CostOf(op.request_put());
    if (op.has_request_txn()) cost += CostOf(op.request_txn());
  }
  return cost;
}

}  // namespace

int64_t CostOf(const PutFields& put) {
  return kPutOverhead + static_cast<int64_t>(put.key.size() + put.value.size());
}

int64_t CostOf(const etcdserverpb::PutRequest& request) { return CostOf(FieldsOf(request)); }

int64_t CostOf(const etcdserverpb::TxnRequest& request) {
  return std::max(CostOfBranch(request.success()), CostOfBranch(request.failure()));
}

int64_t CostOf(const etcdserverpb::LeaseGrantRequest&) { return kLeaseCost; }

int64_t CostOf(const Command& command) {
  switch (command.body_case()) {
    case Command::kPut:
      return CostOf(command.put());
    case Command::kTxn:
      return CostOf(command.txn());
    case Command::kLeaseGrant:
      return CostOf(command.lease_grant());
    default:
      return 0;
  }
}

bool FitsQuota(int64_t quota_bytes, uint64_t used_bytes, int64_t cost) {
  if (quota_bytes <= 0 || cost == 0) return true;
  return static_cast<int64_t>(used_bytes) + cost < quota_bytes;
}

}  // namespace store::apply
