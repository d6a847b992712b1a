// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/comparable.h"

#include <etcd/rpc.pb.h>

namespace store::sim {
namespace {

void DropHeaders(etcdserverpb::TxnResponse* txn) {
  txn->clear_header();
  for (auto& op : *txn->mutable_responses()) {
    if (op.has_response_range()) op.mutable_response_range()->clear_header();
    if (op.has_response_put()) op.mutable_response_put()->clear_header();
    if (op.has_response_delete_range()) op.mutable_response_delete_range()->clear_header();
    if (op.has_response_txn()) DropHeaders(op.mutable_response_txn());
  }
}

}  // namespace

std::string Comparable(const google::protobuf::MessageLite* answer) {
  if (answer == nullptr) return {};
  const auto* txn = dynamic_cast<const etcdserverpb::TxnResponse*>(answer);
  if (txn == nullptr) return answer->SerializeAsString();
  etcdserverpb::TxnResponse copy = *txn;
  DropHeaders(&copy);
  return copy.SerializeAsString();
}

std::string Readable(const google::protobuf::MessageLite* answer) {
  const auto* message = dynamic_cast<const google::protobuf::Message*>(answer);
  return message == nullptr ? std::string() : message->ShortDebugString();
}

}  // namespace store::sim
