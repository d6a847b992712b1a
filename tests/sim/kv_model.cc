// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/kv_model.h"

#include "store/apply/convert.h"
#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace store::sim {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::ResponseOp;

template <typename T>
bool Relate(Compare::CompareResult relation, const T& left, const T& right) {
  switch (relation) {
    case Compare::EQUAL:
      return left == right;
    case Compare::NOT_EQUAL:
      return left != right;
    case Compare::GREATER:
      return left > right;
    case Compare::LESS:
      return left < right;
    default:
      return false;
  }
}

}  // namespace

// ---- reading ----

const KvModel::Version* KvModel::Find(const std::string& key, int64_t at) const {
  auto row = keys_.find(key);
  if (row == keys_.end()) return nullptr;
  for (auto version = row->second.rbegin(); version != row->second.rend(); ++version) {
    if (version->mod <= at) return version->deleted ? nullptr : &*version;
  }
  return nullptr;
}

mvccpb::KeyValue KvModel::ToProto(const std::string& key, const Version& version) {
  mvccpb::KeyValue kv;
  kv.set_key(key);
  kv.set_value(version.value);
  kv.set_create_revision(version.create);
  kv.set_mod_revision(version.mod);
  kv.set_version(version.version);
  kv.set_lease(version.lease);
  return kv;
}

std::optional<mvccpb::KeyValue> KvModel::Get(const std::string& key, int64_t at) const {
  const Version* version = Find(key, at);
  if (version == nullptr) return std::nullopt;
  return ToProto(key, *version);
}

etcdserverpb::RangeResponse KvModel::Range(const etcdserverpb::RangeRequest& request,
                                           int64_t at) const {
  etcdserverpb::RangeResponse response;
  KeyRange range = apply::RangeOf(request);
  int64_t count = 0;
  for (const auto& [key, versions] : keys_) {
    if (!range.Contains(key)) continue;
    const Version* version = Find(key, at);
    if (version == nullptr) continue;
    ++count;
    bool wanted = request.limit() <= 0 || count <= request.limit();
    if (!wanted) response.set_more(true);
    if (wanted && !request.count_only()) *response.add_kvs() = ToProto(key, *version);
  }
  if (request.count_only()) response.set_more(false);
  response.set_count(count);
  return response;
}

const std::vector<ModelEvent>& KvModel::EventsAt(int64_t revision) const {
  static const std::vector<ModelEvent> kNone;
  auto row = events_.find(revision);
  return row == events_.end() ? kNone : row->second;
}

// ---- changing ----

void KvModel::Record(const std::string& key, Version version) {
  version.mod = revision_ + 1;
  events_[version.mod].push_back({key, version.deleted});
  keys_[key].push_back(std::move(version));
}

void KvModel::MoveLease(const std::string& key, int64_t from, int64_t to) {
  if (from == to) return;
  if (auto lease = leases_.find(from); lease != leases_.end()) lease->second.keys.erase(key);
  if (to != 0) leases_.at(to).keys.insert(key);
}

void KvModel::PutOne(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response) {
  const Version* before = Find(request.key(), revision_ + 1);
  if (before != nullptr && request.prev_kv()) {
    *response->mutable_prev_kv() = ToProto(request.key(), *before);
  }
  Version version;
  version.create = before == nullptr ? revision_ + 1 : before->create;
  version.version = before == nullptr ? 1 : before->version + 1;
  version.lease = request.lease();
  version.value = request.value();
  MoveLease(request.key(), before == nullptr ? 0 : before->lease, request.lease());
  values_.insert(request.value());
  Record(request.key(), std::move(version));
}

void KvModel::DeleteSome(const KeyRange& range, bool prev_kv,
                         etcdserverpb::DeleteRangeResponse* response) {
  std::vector<std::string> live;
  for (const auto& [key, versions] : keys_) {
    if (range.Contains(key) && Find(key, revision_ + 1) != nullptr) live.push_back(key);
  }
  for (const std::string& key : live) {
    const Version* before = Find(key, revision_ + 1);
    if (prev_kv) *response->add_prev_kvs() = ToProto(key, *before);
    MoveLease(key, before->lease, 0);
    Version tombstone;
    tombstone.deleted = true;
    Record(key, std::move(tombstone));
  }
  response->set_deleted(static_cast<int64_t>(live.size()));
}

void KvModel::End() {
  if (events_.contains(revision_ + 1)) ++revision_;
}

// ---- commands ----

ModelAnswer KvModel::Apply(const sluice::store::Command& command, Time now) {
  using sluice::store::Command;
  switch (command.body_case()) {
    case Command::kPut:
      return Put(command.put());
    case Command::kDeleteRange:
      return Delete(command.delete_range());
    case Command::kTxn:
      return Txn(command.txn());
    case Command::kCompaction:
      return Compact(command.compaction());
    case Command::kLeaseGrant:
      return Grant(command.lease_grant());
    case Command::kLeaseRevoke:
      return Revoke(command.lease_revoke(), command.header().counter() == 0, now);
    case Command::kLeaseCheckpoint:
      return Checkpoint(command.lease_checkpoint());
    case Command::kMemberUpdate:
      return AtRevision(members_.Update(command.member_update()));
    case Command::kMemberAttributes:
      members_.Publish(command.member_attributes());
      return Done();
    default:
      return Done();
  }
}

ModelAnswer KvModel::Apply(const raft::ConfChange& change,
                           const sluice::store::MembershipChange& command) {
  return AtRevision(members_.Change(change, command));
}

ModelAnswer KvModel::AtRevision(ModelAnswer answer) const {
  answer.revision = revision_;
  return answer;
}

ModelAnswer KvModel::Done() const {
  ModelAnswer answer;
  answer.revision = revision_;
  return answer;
}

ModelAnswer KvModel::Refuse(ErrorCode error) const {
  ModelAnswer answer;
  answer.error = error;
  return answer;
}

ModelAnswer KvModel::Put(const etcdserverpb::PutRequest& request) {
  bool known = request.lease() == 0 ||
               (leases_.contains(request.lease()) && leases_.at(request.lease()).ended < 0);
  if (!known) return Refuse(ErrorCode::kLeaseNotFound);
  auto response = std::make_unique<etcdserverpb::PutResponse>();
  PutOne(request, response.get());
  End();
  ModelAnswer answer = Done();
  answer.response = std::move(response);
  return answer;
}

ModelAnswer KvModel::Delete(const etcdserverpb::DeleteRangeRequest& request) {
  auto response = std::make_unique<etcdserverpb::DeleteRangeResponse>();
  DeleteSome(apply::RangeOf(request), request.prev_kv(), response.get());
  End();
  ModelAnswer answer = Done();
  answer.response = std::move(response);
  return answer;
}

// Of a range it must hold for each key that is there.
bool KvModel::Holds(const Compare& compare) const {
  bool any = false;
  const KeyRange range = apply::RangeOf(compare);
  for (const auto& [key, versions] : keys_) {
    const Version* version = range.Contains(key) ? Find(key, revision_) : nullptr;
    if (version == nullptr) continue;
    any = true;
    if (!HoldsFor(compare, version)) return false;
  }
  return any || HoldsFor(compare, nullptr);
}

bool KvModel::HoldsFor(const Compare& compare, const Version* version) {
  static const Version kAbsent;
  // A key that is not there has no value to compare with.
  if (compare.target() == Compare::VALUE) {
    return version != nullptr && Relate(compare.result(), version->value, compare.value());
  }
  const Version& found = version == nullptr ? kAbsent : *version;
  switch (compare.target()) {
    case Compare::VERSION:
      return Relate(compare.result(), found.version, compare.version());
    case Compare::CREATE:
      return Relate(compare.result(), found.create, compare.create_revision());
    case Compare::MOD:
      return Relate(compare.result(), found.mod, compare.mod_revision());
    default:
      return Relate(compare.result(), found.lease, compare.lease());
  }
}

bool KvModel::AllHold(const etcdserverpb::TxnRequest& request) const {
  return std::all_of(request.compare().begin(), request.compare().end(),
                     [this](const Compare& compare) { return Holds(compare); });
}

ErrorCode KvModel::Refusal(const etcdserverpb::TxnRequest& request) const {
  for (const RequestOp& op : AllHold(request) ? request.success() : request.failure()) {
    if (op.has_request_txn()) {
      ErrorCode refused = Refusal(op.request_txn());
      if (refused != ErrorCode::kOk) return refused;
    }
    if (!op.has_request_put() || op.request_put().lease() == 0) continue;
    auto lease = leases_.find(op.request_put().lease());
    if (lease == leases_.end() || lease->second.ended >= 0) return ErrorCode::kLeaseNotFound;
  }
  return ErrorCode::kOk;
}

void KvModel::RunTxn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response) {
  bool held = AllHold(request);
  response->set_succeeded(held);
  for (const RequestOp& op : held ? request.success() : request.failure()) {
    ResponseOp* answer = response->add_responses();
    if (op.has_request_put()) {
      PutOne(op.request_put(), answer->mutable_response_put());
    } else if (op.has_request_delete_range()) {
      const auto& range = op.request_delete_range();
      DeleteSome(apply::RangeOf(range), range.prev_kv(), answer->mutable_response_delete_range());
    } else if (op.has_request_txn()) {
      RunTxn(op.request_txn(), answer->mutable_response_txn());
    } else {
      CHECK(op.has_request_range());
      *answer->mutable_response_range() = Range(op.request_range(), revision_ + 1);
    }
  }
}

ModelAnswer KvModel::Txn(const etcdserverpb::TxnRequest& request) {
  if (ErrorCode refused = Refusal(request); refused != ErrorCode::kOk) return Refuse(refused);
  auto response = std::make_unique<etcdserverpb::TxnResponse>();
  RunTxn(request, response.get());
  End();
  ModelAnswer answer = Done();
  answer.response = std::move(response);
  return answer;
}

ModelAnswer KvModel::Compact(const etcdserverpb::CompactionRequest& request) {
  if (request.revision() <= compacted_) return Refuse(ErrorCode::kCompacted);
  if (request.revision() > revision_) return Refuse(ErrorCode::kFutureRevision);
  compacted_ = request.revision();
  return Done();
}

ModelAnswer KvModel::Grant(const etcdserverpb::LeaseGrantRequest& request) {
  auto old = leases_.find(request.id());
  if (old != leases_.end() && old->second.ended < 0) return Refuse(ErrorCode::kLeaseExists);
  leases_[request.id()] = {request.ttl(), {}, -1, false};
  ModelAnswer answer = Done();
  auto response = std::make_unique<etcdserverpb::LeaseGrantResponse>();
  response->set_id(request.id());
  response->set_ttl(request.ttl());
  answer.response = std::move(response);
  return answer;
}

// Each lease is a revision of its own.
ModelAnswer KvModel::Revoke(const sluice::store::LeaseRevokeBatch& request, bool by_leader,
                            Time now) {
  bool all_known = true;
  for (int64_t id : request.ids()) {
    auto row = leases_.find(id);
    if (row == leases_.end() || row->second.ended >= 0) {
      all_known = false;
      continue;
    }
    row->second.ended = now;
    row->second.expired = by_leader;
    for (const std::string& key : row->second.keys) {
      Version tombstone;
      tombstone.deleted = true;
      Record(key, std::move(tombstone));
    }
    row->second.keys.clear();
    End();
  }
  return all_known ? Done() : Refuse(ErrorCode::kLeaseNotFound);
}

ModelAnswer KvModel::Checkpoint(const etcdserverpb::LeaseCheckpointRequest&) { return Done(); }

}  // namespace store::sim
