// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/apply/random_log.h"

#include "store/base/key_range.h"

#include <fmt/format.h>

namespace store::apply {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::PutRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using sluice::store::Command;

std::string RandomKey(Random& random) { return fmt::format("k{}", random.Below(12)); }

// Two keys of different halves, so that operations of one branch never meet.
std::string KeyOfHalf(Random& random, uint64_t half) {
  return fmt::format("k{}", random.Below(6) + 6 * half);
}

void FillPut(Random& random, std::string key, PutRequest* put) {
  put->set_key(std::move(key));
  put->set_prev_kv(random.Chance(0.3));
  if (random.Chance(0.1)) {
    put->set_ignore_value(true);
  } else {
    put->set_value(std::string(random.Below(20), static_cast<char>('a' + random.Below(26))));
  }
  if (random.Chance(0.1)) {
    put->set_ignore_lease(true);
  } else if (random.Chance(0.4)) {
    put->set_lease(static_cast<int64_t>(random.Between(1, 5)));
  }
}

void FillDelete(Random& random, DeleteRangeRequest* request) {
  request->set_key(RandomKey(random));
  request->set_prev_kv(random.Chance(0.5));
  if (random.Chance(0.4)) request->set_range_end(RandomKey(random));
  if (random.Chance(0.02)) request->set_range_end(std::string("\0", 1));
}

void FillCompare(Random& random, Compare* compare) {
  compare->set_key(RandomKey(random));
  if (random.Chance(0.3)) compare->set_range_end(RandomKey(random));
  compare->set_result(static_cast<Compare::CompareResult>(random.Below(4)));
  compare->set_target(static_cast<Compare::CompareTarget>(random.Below(5)));
  auto number = static_cast<int64_t>(random.Below(4));
  switch (compare->target()) {
    case Compare::VERSION:
      compare->set_version(number);
      break;
    case Compare::CREATE:
      compare->set_create_revision(number * 20);
      break;
    case Compare::MOD:
      compare->set_mod_revision(number * 20);
      break;
    case Compare::LEASE:
      compare->set_lease(number);
      break;
    default:
      compare->set_value(std::string(random.Below(3), 'm'));
      break;
  }
}

void FillBranch(Random& random, google::protobuf::RepeatedPtrField<RequestOp>* branch) {
  if (random.Chance(0.7))
    FillPut(random, KeyOfHalf(random, 0), branch->Add()->mutable_request_put());
  if (random.Chance(0.5)) branch->Add()->mutable_request_range()->set_key(RandomKey(random));
  if (random.Chance(0.5)) {
    DeleteRangeRequest* request = branch->Add()->mutable_request_delete_range();
    request->set_key(KeyOfHalf(random, 1));
    request->set_prev_kv(random.Chance(0.5));
  }
}

void FillTxn(Random& random, TxnRequest* txn) {
  for (uint64_t i = random.Below(3); i > 0; --i) FillCompare(random, txn->add_compare());
  FillBranch(random, txn->mutable_success());
  FillBranch(random, txn->mutable_failure());
}

bool Judge(Compare::CompareResult result, int order) {
  switch (result) {
    case Compare::EQUAL:
      return order == 0;
    case Compare::NOT_EQUAL:
      return order != 0;
    case Compare::GREATER:
      return order > 0;
    default:
      return order < 0;
  }
}

int Sign(int64_t a, int64_t b) { return a < b ? -1 : (a > b ? 1 : 0); }

int Order(const Compare& compare, const Model::Row& row) {
  switch (compare.target()) {
    case Compare::VERSION:
      return Sign(row.version, compare.version());
    case Compare::CREATE:
      return Sign(row.create, compare.create_revision());
    case Compare::MOD:
      return Sign(row.mod, compare.mod_revision());
    case Compare::LEASE:
      return Sign(row.lease, compare.lease());
    default:
      return row.value.compare(compare.value());
  }
}

}  // namespace

Command RandomCommand(Random& random) {
  Command command;
  uint64_t dice = random.Below(100);
  auto lease = static_cast<int64_t>(random.Between(1, 5));
  if (dice < 45) {
    FillPut(random, RandomKey(random), command.mutable_put());
  } else if (dice < 60) {
    FillDelete(random, command.mutable_delete_range());
  } else if (dice < 85) {
    FillTxn(random, command.mutable_txn());
  } else if (dice < 92) {
    command.mutable_lease_grant()->set_id(lease);
    command.mutable_lease_grant()->set_ttl(60);
  } else if (dice < 96) {
    command.mutable_lease_revoke()->add_ids(lease);
  } else {
    command.mutable_compaction()->set_revision(static_cast<int64_t>(random.Below(400)));
  }
  return command;
}

ErrorCode Model::Do(const Command& command) {
  switch (command.body_case()) {
    case Command::kPut:
      return Put(command.put());
    case Command::kDeleteRange:
      Finish(ApplyDelete(command.delete_range()) > 0);
      return ErrorCode::kOk;
    case Command::kTxn:
      return Txn(command.txn());
    case Command::kLeaseGrant:
      return leases_.emplace(command.lease_grant().id(), command.lease_grant().ttl()).second
                 ? ErrorCode::kOk
                 : ErrorCode::kLeaseExists;
    case Command::kLeaseRevoke:
      return Revoke(command.lease_revoke().ids(0));
    default:
      return Compact(command.compaction().revision());
  }
}

std::string Model::Text(const Rows& rows) {
  std::string text;
  for (const auto& [key, row] : rows) {
    text += fmt::format("{}{}={}@{}/{}/{}/{}", text.empty() ? "" : " ", key, row.value, row.create,
                        row.mod, row.version, row.lease);
  }
  return text;
}

std::string Model::Leases() const {
  std::string text;
  for (const auto& [id, ttl] : leases_) {
    text += fmt::format("{}:", id);
    for (const auto& [key, row] : rows_) {
      if (row.lease == id) text += " " + key;
    }
    text += "\n";
  }
  return text;
}

ErrorCode Model::CheckPut(const PutRequest& request) const {
  bool no_lease = request.lease() != 0 && !leases_.contains(request.lease());
  bool no_key =
      (request.ignore_value() || request.ignore_lease()) && !rows_.contains(request.key());
  if (no_lease) return ErrorCode::kLeaseNotFound;
  return no_key ? ErrorCode::kKeyNotFound : ErrorCode::kOk;
}

void Model::ApplyPut(const PutRequest& request) {
  Row& row = rows_[request.key()];
  if (!request.ignore_value()) row.value = request.value();
  if (!request.ignore_lease()) row.lease = request.lease();
  row.mod = revision_ + 1;
  if (row.create == 0) row.create = row.mod;
  ++row.version;
}

int64_t Model::ApplyDelete(const DeleteRangeRequest& request) {
  KeyRange range = KeyRange::FromRequest(request.key(), request.range_end());
  return static_cast<int64_t>(
      std::erase_if(rows_, [&](const auto& row) { return range.Contains(row.first); }));
}

void Model::Finish(bool changed) {
  if (changed) history_[++revision_] = rows_;
}

ErrorCode Model::Put(const PutRequest& request) {
  ErrorCode error = CheckPut(request);
  if (error != ErrorCode::kOk) return error;
  ApplyPut(request);
  Finish(true);
  return ErrorCode::kOk;
}

bool Model::Holds(const Compare& compare) const {
  KeyRange range = KeyRange::FromRequest(compare.key(), compare.range_end());
  bool any = false;
  for (const auto& [key, row] : rows_) {
    if (!range.Contains(key)) continue;
    any = true;
    if (!Judge(compare.result(), Order(compare, row))) return false;
  }
  if (any) return true;
  return compare.target() != Compare::VALUE && Judge(compare.result(), Order(compare, Row()));
}

ErrorCode Model::CheckOps(const TxnRequest& request, bool held) const {
  for (const RequestOp& op : held ? request.success() : request.failure()) {
    if (!op.has_request_put()) continue;
    ErrorCode error = CheckPut(op.request_put());
    if (error != ErrorCode::kOk) return error;
  }
  return ErrorCode::kOk;
}

ErrorCode Model::Txn(const TxnRequest& request) {
  bool held = true;
  for (const Compare& compare : request.compare()) held = held && Holds(compare);
  ErrorCode error = CheckOps(request, held);
  if (error != ErrorCode::kOk) return error;
  bool changed = false;
  trace_ = held ? "then" : "else";
  for (const RequestOp& op : held ? request.success() : request.failure()) {
    if (op.has_request_put()) {
      ApplyPut(op.request_put());
      changed = true;
      trace_ += " put";
    } else if (op.has_request_range()) {
      auto found = rows_.find(op.request_range().key());
      trace_ += found == rows_.end() ? " absent" : " " + found->second.value;
    } else {
      int64_t deleted = ApplyDelete(op.request_delete_range());
      changed = changed || deleted > 0;
      trace_ += fmt::format(" -{}", deleted);
    }
  }
  Finish(changed);
  return ErrorCode::kOk;
}

ErrorCode Model::Revoke(int64_t id) {
  if (leases_.erase(id) == 0) return ErrorCode::kLeaseNotFound;
  Finish(std::erase_if(rows_, [id](const auto& row) { return row.second.lease == id; }) > 0);
  return ErrorCode::kOk;
}

ErrorCode Model::Compact(int64_t revision) {
  if (revision <= compacted_) return ErrorCode::kCompacted;
  if (revision > revision_) return ErrorCode::kFutureRevision;
  compacted_ = revision;
  return ErrorCode::kOk;
}

}  // namespace store::apply
