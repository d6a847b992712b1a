// SPDX-License-Identifier: Apache-2.0
// The data of log entries: commands and configuration changes.
#include "store/apply/command.h"
#include "store/apply/put_command.h"
#include "store/base/check.h"
#include "store/raft/conf_change.h"
#include "tests/fuzz/target.h"

namespace store::fuzz {

using sluice::store::Command;

namespace {

bool Same(const apply::PutFields& a, const apply::PutFields& b) {
  return a.key == b.key && a.value == b.value && a.lease == b.lease && a.prev_kv == b.prev_kv &&
         a.ignore_value == b.ignore_value && a.ignore_lease == b.ignore_lease;
}

// What is read without the generated messages is what they read.
void CheckPut(std::string_view input) {
  if (auto fields = apply::ReadPutFields(input)) {
    etcdserverpb::PutRequest parsed;
    CHECK(parsed.ParseFromArray(input.data(), static_cast<int>(input.size())));
    CHECK(Same(*fields, apply::FieldsOf(parsed)));
  }
  auto put = apply::ReadPutCommand(input);
  if (!put) return;
  Command parsed;
  CHECK(apply::DecodeCommand(input, &parsed));
  CHECK(parsed.has_put());
  CHECK(Same(put->put, apply::FieldsOf(parsed.put())));
  CHECK(put->id == apply::IdOf(parsed.header()));
  const std::string request = parsed.put().SerializeAsString();
  CHECK(apply::EncodePutCommand(put->id, request) == apply::EncodeCommand(put->id, parsed));
}

}  // namespace

void Run(std::string_view input) {
  if (TakeByte(&input) % 4 == 0) {
    auto change = raft::DecodeConfChange(input);
    if (change) CHECK(raft::EncodeConfChange(*change) == input);
    return;
  }
  CheckPut(input);
  Command command;
  if (!apply::DecodeCommand(input, &command)) return;
  const apply::RequestId id = apply::IdOf(command.header());
  Command again;
  CHECK(apply::DecodeCommand(apply::EncodeCommand(id, command), &again));
  CHECK(again.body_case() == command.body_case());
}

std::vector<std::string> Seeds() {
  const apply::RequestId id{7, 99, LoopId(1), 5};
  std::vector<std::string> seeds;
  auto add = [&](Command command) { seeds.push_back('\1' + apply::EncodeCommand(id, command)); };
  Command put;
  put.mutable_put()->set_key("key");
  put.mutable_put()->set_value("value");
  put.mutable_put()->set_lease(12);
  add(put);
  seeds.push_back('\1' + put.put().SerializeAsString());
  Command deletion;
  deletion.mutable_delete_range()->set_key("a");
  deletion.mutable_delete_range()->set_range_end("b");
  add(deletion);
  Command txn;
  txn.mutable_txn()->add_compare()->set_key("key");
  *txn.mutable_txn()->add_success()->mutable_request_put() = put.put();
  *txn.mutable_txn()->add_failure()->mutable_request_txn() = txn.txn();
  add(txn);
  Command compaction;
  compaction.mutable_compaction()->set_revision(77);
  add(compaction);
  Command grant;
  grant.mutable_lease_grant()->set_id(12);
  grant.mutable_lease_grant()->set_ttl(60);
  add(grant);
  const LeaseId leases[] = {LeaseId(1), LeaseId(2)};
  seeds.push_back('\1' + apply::EncodeLeaseExpiry(leases));
  raft::ConfChange change;
  change.node = raft::NodeId(3);
  change.context = "context";
  seeds.push_back(std::string(1, '\0') + raft::EncodeConfChange(change));
  return seeds;
}

}  // namespace store::fuzz
