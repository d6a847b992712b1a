// SPDX-License-Identifier: Apache-2.0
#include "store/apply/apply_lease.h"

#include "store/apply/apply_kv.h"
#include "store/apply/quota.h"
#include "store/apply/sys_rows.h"
#include "store/base/failpoint.h"
#include "store/engine/sys_keys.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace store::apply {

using engine::SysSection;
using engine::Table;

Status Leases::Restore(const engine::Engine& engine) {
  table_ = lease::LeaseTable();
  auto rows = engine.Scan(Table::kSys, engine::SysKey(SysSection::kLease),
                          engine::SysSectionEnd(SysSection::kLease), {.fill_cache = false});
  for (; rows->Valid(); rows->Next()) {
    auto row = DecodeLease(rows->key(), rows->value());
    RETURN_IF_ERROR(row);
    table_.Grant(row->first, row->second.ttl_seconds, row->second.remaining_seconds);
  }
  RETURN_IF_ERROR(rows->status());
  auto items = engine.Scan(Table::kSys, engine::SysKey(SysSection::kLeaseItem),
                           engine::SysSectionEnd(SysSection::kLeaseItem), {.fill_cache = false});
  for (; items->Valid(); items->Next()) {
    auto item = DecodeLeaseItem(items->key());
    RETURN_IF_ERROR(item);
    if (!table_.Contains(item->first)) {
      return Fail(ErrorCode::kCorruption,
                  "a key in the state belongs to a lease that is not there");
    }
    table_.Attach(item->first, item->second);
  }
  return items->status();
}

void Leases::Move(std::string_view key, LeaseId from, LeaseId to, engine::WriteBatch& batch) {
  if (from == to) return;
  if (from) {
    table_.Detach(from, key);
    batch.Delete(Table::kSys, LeaseItemKey(from, key));
  }
  if (to) {
    table_.Attach(to, key);
    batch.Put(Table::kSys, LeaseItemKey(to, key), {});
  }
}

Result<CallResult> ApplyLeaseGrant(CommandScope& scope,
                                   const etcdserverpb::LeaseGrantRequest& request) {
  LeaseId id(request.id());
  if (!id) return Fail(ErrorCode::kLeaseNotFound);
  if (request.ttl() > kLeaseTtlMax) return Fail(ErrorCode::kLeaseTtlTooLarge);
  if (!scope.leases.table_.Grant(id, request.ttl())) return Fail(ErrorCode::kLeaseExists);
  scope.batch.Put(Table::kSys, LeaseKey(id), EncodeLease({request.ttl(), 0}));
  scope.bytes_written += kLeaseCost;
  scope.report.leases.push_back({LeaseChange::Kind::kGranted, id, request.ttl(), 0});
  CallResult result = Done(scope.store.pending_current());
  if (!scope.answer) return result;
  auto response = std::make_unique<etcdserverpb::LeaseGrantResponse>();
  response->set_id(id.value());
  response->set_ttl(request.ttl());
  result.response = std::move(response);
  return result;
}

// false: no such lease.
bool RevokeOne(CommandScope& scope, LeaseId id) {
  std::optional<std::vector<std::string>> keys = scope.leases.table_.Revoke(id);
  if (!keys) return false;
  FAILPOINT("apply-lease-revoke");
  mvcc::WriteTxn txn = scope.store.Begin(scope.batch);
  for (const std::string& key : *keys) {
    DeleteLeasedKey(scope, txn, key);
    scope.batch.Delete(Table::kSys, LeaseItemKey(id, key));
  }
  txn.Commit();
  scope.batch.Delete(Table::kSys, LeaseKey(id));
  scope.report.leases.push_back({LeaseChange::Kind::kRevoked, id, 0, 0});
  return true;
}

Result<CallResult> ApplyLeaseRevoke(CommandScope& scope,
                                    const sluice::store::LeaseRevokeBatch& request) {
  bool all_known = true;
  for (int64_t id : request.ids()) all_known &= RevokeOne(scope, LeaseId(id));
  if (!all_known) return Fail(ErrorCode::kLeaseNotFound);
  return Done(scope.store.pending_current());
}

Result<CallResult> ApplyLeaseCheckpoint(CommandScope& scope,
                                        const etcdserverpb::LeaseCheckpointRequest& request) {
  for (const etcdserverpb::LeaseCheckpoint& checkpoint : request.checkpoints()) {
    LeaseId id(checkpoint.id());
    int64_t remaining = checkpoint.remaining_ttl();
    if (!scope.leases.table_.Checkpoint(id, remaining)) continue;
    int64_t ttl = scope.leases.table_.Find(id)->ttl_seconds;
    scope.batch.Put(Table::kSys, LeaseKey(id), EncodeLease({ttl, remaining}));
    scope.report.leases.push_back({LeaseChange::Kind::kCheckpointed, id, 0, remaining});
  }
  return Done(scope.store.pending_current());
}

}  // namespace store::apply
