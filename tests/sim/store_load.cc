// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_load.h"

#include "store/api/errors.h"
#include "tests/sim/store_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::sim {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;

constexpr size_t kLeasesKept = 20;
constexpr uint64_t kCallsOpenMax = 2000;
constexpr uint64_t kTxnKeysMax = 900;  // KeyOf is in order up to 999

std::string KeyOf(uint64_t number) { return fmt::format("k{:03}", number); }

}  // namespace

StoreLoad::StoreLoad(const StoreOptions& options, StoreGroup* group, ClientCalls* calls,
                     Pacer* pacer)
    : options_(options), group_(*group), calls_(*calls) {
  const auto every = [&](Time mean, std::string_view name, void (StoreLoad::*act)(Random&)) {
    pacer->Every(mean, name, [this, act](Random& random) {
      if (calls_.open() < kCallsOpenMax) (this->*act)(random);
    });
  };
  every(options.put_every, "put", &StoreLoad::Put);
  every(options.delete_every, "delete", &StoreLoad::Delete);
  every(options.range_every, "range", &StoreLoad::Range);
  every(options.stream_every, "range stream", &StoreLoad::Stream);
  every(options.txn_every, "txn", &StoreLoad::Txn);
  every(options.lease_every, "grant", &StoreLoad::Grant);
  every(options.lease_every * 4, "revoke", &StoreLoad::Revoke);
  every(options.keep_alive_every, "keep-alive", &StoreLoad::KeepAlive);
  every(options.lease_every, "time-to-live", &StoreLoad::TimeToLive);
  every(options.watch_every, "watch", &StoreLoad::Watch);
  every(options.compact_every, "compact", &StoreLoad::Compact);
  every(options.hash_every, "hash", &StoreLoad::Hash);
}

// ---- drawing ----

StoreProcess* StoreLoad::AnyProcess(Random& random) {
  auto at = group_.members().begin();
  std::advance(at, static_cast<ptrdiff_t>(random.Below(group_.members().size())));
  return at->second.process.get();
}

std::string StoreLoad::Key(Random& random) { return KeyOf(random.Below(options_.keys)); }

std::string StoreLoad::Value(Random& random) {
  std::string value = fmt::format("v{} ", ++values_);
  value.append(random.Below(options_.value_bytes_max), 'x');
  return value;
}

int64_t StoreLoad::SomeLease(Random& random) {
  if (leases_.empty() || random.Chance(0.6)) return 0;
  return leases_[random.Below(leases_.size())].id;
}

void StoreLoad::DrawRange(Random& random, std::string* key, std::string* range_end) {
  uint64_t first = random.Below(options_.keys);
  *key = KeyOf(first);
  if (random.Chance(0.4)) return;
  *range_end =
      random.Chance(0.2) ? std::string(1, '\0') : KeyOf(random.Between(first + 1, options_.keys));
}

int64_t StoreLoad::SomeRevision(Random& random) {
  int64_t back = static_cast<int64_t>(random.Below(30));
  return std::max<int64_t>(1, group_.checks().seen() + 3 - back);
}

Compare StoreLoad::DrawCompare(Random& random) {
  Compare compare;
  uint64_t first = random.Below(options_.keys);
  compare.set_key(KeyOf(first));
  if (random.Chance(0.2)) compare.set_range_end(KeyOf(first + 1 + random.Below(20)));
  compare.set_result(static_cast<Compare::CompareResult>(random.Below(4)));
  compare.set_target(static_cast<Compare::CompareTarget>(random.Below(5)));
  auto small = static_cast<int64_t>(random.Below(3));
  switch (compare.target()) {
    case Compare::VERSION:
      compare.set_version(small);
      break;
    case Compare::CREATE:
      compare.set_create_revision(random.Chance(0.5) ? 0 : SomeRevision(random));
      break;
    case Compare::MOD:
      compare.set_mod_revision(random.Chance(0.5) ? 0 : SomeRevision(random));
      break;
    case Compare::VALUE:
      compare.set_value(fmt::format("v{}", random.Below(values_ + 1)));
      break;
    default:
      compare.set_lease(SomeLease(random));
      break;
  }
  return compare;
}

// Goes on from key number `next`: a transaction may touch a key only once.
RequestOp StoreLoad::DrawOp(Random& random, uint64_t* next, int depth) {
  RequestOp op;
  const std::string key = KeyOf(*next);
  bool wide = random.Chance(0.3);
  bool nested = depth < options_.txn_depth_max && random.Chance(0.2);
  *next += 1 + random.Below(3);
  if (nested) {
    DrawTxn(random, next, depth + 1, op.mutable_request_txn());
    return op;
  }
  switch (random.Below(4)) {
    case 0:
      op.mutable_request_delete_range()->set_key(key);
      op.mutable_request_delete_range()->set_prev_kv(random.Chance(0.5));
      if (wide) op.mutable_request_delete_range()->set_range_end(KeyOf(*next += 3));
      break;
    case 1:
      op.mutable_request_range()->set_key(key);
      if (wide) op.mutable_request_range()->set_range_end(KeyOf(*next + random.Below(100)));
      if (wide) op.mutable_request_range()->set_limit(static_cast<int64_t>(random.Below(5)));
      break;
    default:
      op.mutable_request_put()->set_key(key);
      op.mutable_request_put()->set_value(Value(random));
      op.mutable_request_put()->set_lease(SomeLease(random));
      op.mutable_request_put()->set_prev_kv(random.Chance(0.3));
      break;
  }
  return op;
}

void StoreLoad::DrawTxn(Random& random, uint64_t* next, int depth,
                        etcdserverpb::TxnRequest* request) {
  for (uint64_t i = random.Below(3); i > 0; --i) *request->add_compare() = DrawCompare(random);
  for (auto* branch : {request->mutable_success(), request->mutable_failure()}) {
    if (depth == 0) *next = random.Below(options_.keys);
    uint64_t ops_max = depth == 0 ? options_.txn_ops_max : 3;
    for (uint64_t i = random.Below(ops_max + 1); i > 0 && *next < kTxnKeysMax; --i) {
      *branch->Add() = DrawOp(random, next, depth);
    }
  }
}

// ---- calls ----

void StoreLoad::Put(Random& random) {
  etcdserverpb::PutRequest request;
  StoreProcess* process = AnyProcess(random);
  request.set_key(Key(random));
  request.set_value(Value(random));
  request.set_lease(SomeLease(random));
  request.set_prev_kv(random.Chance(0.2));
  Call<etcdserverpb::PutResponse>(
      process, "/etcdserverpb.KV/Put", request,
      [this, request](const CallStart& start, const rpc::RpcStatus& status, const auto& response) {
        return group_.checks().Put(start, request, status, response);
      });
}

void StoreLoad::PutLast(raft::NodeId node) {
  etcdserverpb::PutRequest request;
  request.set_key("last");
  request.set_value(fmt::format("v{} last", ++values_));
  Call<etcdserverpb::PutResponse>(
      group_.ProcessOf(node), "/etcdserverpb.KV/Put", request,
      [this, request](const CallStart& start, const rpc::RpcStatus& status, const auto& response) {
        last_done_ = last_done_ || status.ok();
        return group_.checks().Put(start, request, status, response);
      });
}

void StoreLoad::Delete(Random& random) {
  etcdserverpb::DeleteRangeRequest request;
  StoreProcess* process = AnyProcess(random);
  DrawRange(random, request.mutable_key(), request.mutable_range_end());
  request.set_prev_kv(random.Chance(0.2));
  Call<etcdserverpb::DeleteRangeResponse>(
      process, "/etcdserverpb.KV/DeleteRange", request,
      [this](const CallStart& start, const rpc::RpcStatus& status, const auto& response) {
        return group_.checks().Delete(start, status, response);
      });
}

void StoreLoad::Range(Random& random) {
  etcdserverpb::RangeRequest request;
  StoreProcess* process = AnyProcess(random);
  DrawRange(random, request.mutable_key(), request.mutable_range_end());
  request.set_serializable(random.Chance(0.3));
  if (random.Chance(0.3)) request.set_revision(SomeRevision(random));
  if (random.Chance(0.3)) request.set_limit(static_cast<int64_t>(random.Between(1, 5)));
  if (random.Chance(0.1)) request.set_count_only(true);
  Call<etcdserverpb::RangeResponse>(
      process, "/etcdserverpb.KV/Range", request,
      [this, request](const CallStart& start, const rpc::RpcStatus& status, const auto& response) {
        return group_.checks().Range(start, request, status, response);
      });
}

// Its pieces together are one answer.
void StoreLoad::Stream(Random& random) {
  etcdserverpb::RangeRequest request;
  StoreProcess* process = AnyProcess(random);
  DrawRange(random, request.mutable_key(), request.mutable_range_end());
  request.set_serializable(random.Chance(0.3));
  if (random.Chance(0.3)) request.set_revision(SomeRevision(random));
  if (random.Chance(0.3)) request.set_limit(static_cast<int64_t>(random.Between(1, 100)));
  Time delay = random.Chance(0.3) ? TimeBetween(random, 1000, 30 * kMillisecond) : 0;
  if (process == nullptr) return;
  struct Whole {
    etcdserverpb::RangeResponse response;
    uint64_t pieces = 0;
  };
  auto whole = std::make_shared<Whole>();
  auto call = calls_.Begin();
  const CallStart start = group_.checks().Start(process->machine().mvcc().compacted().value());
  SimCall::Client client;
  client.read_delay = delay;
  client.on_message = [this, call, whole](const std::string& bytes) {
    etcdserverpb::RangeStreamResponse piece;
    if (!piece.ParseFromString(bytes)) return group_.Fail("no RangeStreamResponse");
    whole->response.MergeFrom(piece.range_response());
    ++whole->pieces;
  };
  client.on_finish = [this, call, whole, request, start](const rpc::RpcStatus& status) {
    if (status.ok()) ++group_.counts().streams;
    if (status.ok() && whole->pieces > 1) ++group_.counts().streams_in_pieces;
    // A snapshot that is installed ends it like a compaction.
    if (status.message == api::StatusOf(ErrorCode::kCompacted).message) return;
    group_.Fail(group_.checks().Range(start, request, status, whole->response));
  };
  auto stream = process->services().Call("/etcdserverpb.KV/RangeStream", {}, std::move(client));
  stream->SendToService(request.SerializeAsString());
  stream->HalfClose();
}

void StoreLoad::Txn(Random& random) {
  etcdserverpb::TxnRequest request;
  StoreProcess* process = AnyProcess(random);
  uint64_t next = 0;
  DrawTxn(random, &next, 0, &request);
  Call<etcdserverpb::TxnResponse>(
      process, "/etcdserverpb.KV/Txn", request,
      [this, request](const CallStart& start, const rpc::RpcStatus& status, const auto& response) {
        return group_.checks().Txn(start, request, status, response);
      });
}

void StoreLoad::Grant(Random& random) {
  etcdserverpb::LeaseGrantRequest request;
  StoreProcess* process = AnyProcess(random);
  request.set_ttl(static_cast<int64_t>(random.Between(1, 5)));
  Call<etcdserverpb::LeaseGrantResponse>(
      process, "/etcdserverpb.Lease/LeaseGrant", request,
      [this](const CallStart& start, const rpc::RpcStatus& status,
             const auto& response) -> std::string {
        if (!status.ok()) return {};
        leases_.push_back({response.id(), true});
        asked_.push_back(response.id());
        if (asked_.size() > kLeasesKept) asked_.pop_front();
        if (leases_.size() > kLeasesKept) leases_.erase(leases_.begin());
        return group_.checks().LeaseKept(response.id(), response.ttl(), start.at);
      });
}

void StoreLoad::KeepAlive(Random& random) {
  StoreProcess* process = random.Chance(0.4) ? group_.Leader() : AnyProcess(random);
  if (leases_.empty() || process == nullptr) return;
  LeaseRow& lease = leases_[random.Below(leases_.size())];
  lease.kept = lease.kept && random.Chance(0.95);
  if (!lease.kept) return;
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease.id);
  auto call = calls_.Begin();
  SimCall::Client client;
  client.on_message = [this, call, id = lease.id,
                       sent = group_.events().now()](const std::string& bytes) {
    etcdserverpb::LeaseKeepAliveResponse response;
    if (!response.ParseFromString(bytes)) return group_.Fail("no LeaseKeepAliveResponse");
    ++group_.counts().answered;
    if (response.ttl() > 0) group_.Fail(group_.checks().LeaseKept(id, response.ttl(), sent));
  };
  client.on_finish = [call](const rpc::RpcStatus&) {};
  auto stream =
      process->services().Call("/etcdserverpb.Lease/LeaseKeepAlive", {}, std::move(client));
  stream->SendToService(request.SerializeAsString());
  stream->HalfClose();
}

void StoreLoad::Revoke(Random& random) {
  StoreProcess* process = AnyProcess(random);
  if (leases_.empty()) return;
  size_t number = random.Below(leases_.size());
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(leases_[number].id);
  leases_.erase(leases_.begin() + static_cast<ptrdiff_t>(number));
  Call<etcdserverpb::LeaseRevokeResponse>(
      process, "/etcdserverpb.Lease/LeaseRevoke", request,
      [this, id = request.id()](const CallStart&, const rpc::RpcStatus& status,
                                const auto& response) {
        if (!status.ok()) return std::string();
        group_.checks().LeaseRevoked(id);
        return group_.checks().Saw(response.header().revision());
      });
}

void StoreLoad::TimeToLive(Random& random) {
  StoreProcess* process = AnyProcess(random);
  if (asked_.empty()) return;
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(asked_[random.Below(asked_.size())]);
  request.set_keys(random.Chance(0.3));
  Call<etcdserverpb::LeaseTimeToLiveResponse>(
      process, "/etcdserverpb.Lease/LeaseTimeToLive", request,
      [this, id = request.id()](const CallStart& start, const rpc::RpcStatus& status,
                                const auto& response) {
        return status.ok() ? group_.checks().TimeToLive(start, id, response.ttl()) : std::string();
      });
}

void StoreLoad::Watch(Random& random) {
  std::erase_if(watches_, [](const auto& watch) { return watch->left(); });
  if (!watches_.empty() && random.Chance(0.5)) {
    return watches_[random.Below(watches_.size())]->RequestProgress();
  }
  if (watches_.size() >= options_.watches_max) {
    if (random.Chance(0.5)) watches_[random.Below(watches_.size())]->Leave();
    return;
  }
  etcdserverpb::WatchCreateRequest create;
  DrawRange(random, create.mutable_key(), create.mutable_range_end());
  create.set_prev_kv(random.Chance(0.4));
  create.set_progress_notify(random.Chance(0.4));
  create.set_fragment(random.Chance(0.3));
  if (random.Chance(0.15)) create.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  if (random.Chance(0.15)) create.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  if (random.Chance(0.6)) create.set_start_revision(SomeRevision(random));
  bool slow = options_.slow_readers && random.Chance(0.5);
  Time delay = slow ? TimeBetween(random, 1000, 300 * kMillisecond) : 0;
  ++group_.counts().watches;
  watches_.push_back(
      std::make_shared<WatchFollower>(group_, create, delay, random.Fork("follower")));
  watches_.back()->Connect();
}

void StoreLoad::Compact(Random& random) {
  etcdserverpb::CompactionRequest request;
  StoreProcess* process = AnyProcess(random);
  request.set_revision(SomeRevision(random));
  request.set_physical(random.Chance(0.2));
  Call<etcdserverpb::CompactionResponse>(
      process, "/etcdserverpb.KV/Compact", request,
      [this](const CallStart&, const rpc::RpcStatus& status, const auto& response) {
        return status.ok() ? group_.checks().Saw(response.header().revision()) : std::string();
      });
}

void StoreLoad::Hash(Random& random) {
  etcdserverpb::HashKVRequest request;
  StoreProcess* process = AnyProcess(random);
  if (random.Chance(0.5)) request.set_revision(SomeRevision(random));
  Call<etcdserverpb::HashKVResponse>(
      process, "/etcdserverpb.Maintenance/HashKV", request,
      [this](const CallStart&, const rpc::RpcStatus& status, const auto& response) {
        return status.ok() ? group_.checks().Hash(response) : std::string();
      });
}

}  // namespace store::sim
