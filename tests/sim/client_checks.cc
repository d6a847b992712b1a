// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client_checks.h"

#include "store/api/errors.h"
#include "store/apply/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace store::sim {
namespace {

bool Is(const rpc::RpcStatus& status, ErrorCode code) {
  return status.message == api::StatusOf(code).message;
}

void AllPuts(const etcdserverpb::TxnRequest& request, std::set<std::string>* values) {
  for (const auto* branch : {&request.success(), &request.failure()}) {
    for (const auto& op : *branch) {
      if (op.has_request_put()) values->insert(op.request_put().value());
      if (op.has_request_txn()) AllPuts(op.request_txn(), values);
    }
  }
}

// What was put, going by the branches that were taken.
void PutsMade(const etcdserverpb::TxnRequest& request, const etcdserverpb::TxnResponse& response,
              std::vector<const etcdserverpb::PutRequest*>* puts) {
  const auto& taken = response.succeeded() ? request.success() : request.failure();
  for (int i = 0; i < std::min(taken.size(), response.responses_size()); ++i) {
    if (taken[i].has_request_put()) puts->push_back(&taken[i].request_put());
    if (!taken[i].has_request_txn()) continue;
    PutsMade(taken[i].request_txn(), response.responses(i).response_txn(), puts);
  }
}

etcdserverpb::RangeRequest Everything() {
  etcdserverpb::RangeRequest all;
  all.set_key(std::string(1, '\0'));
  all.set_range_end(std::string(1, '\0'));
  return all;
}

}  // namespace

bool IsRefusal(const rpc::RpcStatus& status) {
  return Is(status, ErrorCode::kTooManyRequests) || Is(status, ErrorCode::kLeaseNotFound) ||
         Is(status, ErrorCode::kRequestTooLarge) || status.code == rpc::GrpcCode::kInvalidArgument;
}

std::string ClientChecks::Saw(int64_t revision) {
  seen_ = std::max(seen_, revision);
  if (revision <= model_.revision()) return {};
  return fmt::format("a client is told revision {}, but only {} are committed", revision,
                     model_.revision());
}

std::string ClientChecks::NotNewer(const CallStart& start, int64_t revision, bool changed) const {
  if (revision > start.seen || (!changed && revision == start.seen)) return {};
  return fmt::format("a write that began after {} was known is answered with revision {}",
                     start.seen, revision);
}

std::string ClientChecks::Value(const std::string& key, const std::string& value,
                                int64_t revision) const {
  auto kv = model_.Get(key, revision);
  if (kv && kv->value() == value && kv->mod_revision() == revision) return {};
  return fmt::format("{} = {} was acknowledged at revision {}, where it is {}", key, value,
                     revision, kv ? kv->ShortDebugString() : "nothing");
}

std::string ClientChecks::Range(const CallStart& start, const etcdserverpb::RangeRequest& request,
                                const rpc::RpcStatus& status,
                                const etcdserverpb::RangeResponse& response) {
  if (Is(status, ErrorCode::kCompacted)) {
    if (request.revision() > 0 && request.revision() < model_.compacted()) return {};
    return fmt::format("a read at {} is refused as compacted, compacted is {}", request.revision(),
                       model_.compacted());
  }
  if (Is(status, ErrorCode::kFutureRevision)) {
    if (request.serializable() || request.revision() > start.seen) return {};
    return fmt::format("a linearizable read at {} is told that this is the future, {} was known",
                       request.revision(), start.seen);
  }
  if (!status.ok()) return {};
  int64_t revision = response.header().revision();
  if (!request.serializable() && revision < start.seen) {
    return fmt::format("stale: a linearizable read is answered at {}, {} was known before",
                       revision, start.seen);
  }
  int64_t at = request.revision() > 0 ? request.revision() : revision;
  if (request.revision() > 0 && request.revision() < start.member_compacted) {
    return fmt::format("revision {} is readable, the member had compacted {}", request.revision(),
                       start.member_compacted);
  }
  if (std::string problem = Saw(revision); !problem.empty()) return problem;
  etcdserverpb::RangeResponse got = response;
  got.clear_header();
  etcdserverpb::RangeResponse expected = model_.Range(request, at);
  if (got.SerializeAsString() == expected.SerializeAsString()) return {};
  return fmt::format("range {{{}}} at {}: got {{{}}}, expected {{{}}}", request.ShortDebugString(),
                     at, got.ShortDebugString(), expected.ShortDebugString());
}

std::string ClientChecks::Put(const CallStart& start, const etcdserverpb::PutRequest& request,
                              const rpc::RpcStatus& status,
                              const etcdserverpb::PutResponse& response) {
  if (IsRefusal(status)) refused_.insert(request.value());
  if (!status.ok()) return {};
  int64_t revision = response.header().revision();
  std::string problem = NotNewer(start, revision, true);
  if (problem.empty()) problem = Saw(revision);
  return problem.empty() ? Value(request.key(), request.value(), revision) : problem;
}

std::string ClientChecks::Delete(const CallStart& start, const rpc::RpcStatus& status,
                                 const etcdserverpb::DeleteRangeResponse& response) {
  if (!status.ok()) return {};
  int64_t revision = response.header().revision();
  std::string problem = NotNewer(start, revision, response.deleted() > 0);
  if (problem.empty()) problem = Saw(revision);
  if (!problem.empty() || response.deleted() == 0) return problem;
  auto events = static_cast<int64_t>(model_.EventsAt(revision).size());
  if (events == response.deleted()) return {};
  return fmt::format("{} deletions were acknowledged at revision {}, which has {} changes",
                     response.deleted(), revision, events);
}

std::string ClientChecks::Txn(const CallStart& start, const etcdserverpb::TxnRequest& request,
                              const rpc::RpcStatus& status,
                              const etcdserverpb::TxnResponse& response) {
  if (IsRefusal(status)) AllPuts(request, &refused_);
  if (!status.ok()) return {};
  int64_t revision = response.header().revision();
  const auto& taken = response.succeeded() ? request.success() : request.failure();
  if (taken.size() != response.responses_size()) return "a transaction is answered in part";
  std::vector<const etcdserverpb::PutRequest*> puts;
  PutsMade(request, response, &puts);
  // Without any operation it is answered from the member's own state, as at etcd.
  bool local = request.success().empty() && request.failure().empty();
  std::string problem = local ? std::string() : NotNewer(start, revision, !puts.empty());
  if (problem.empty()) problem = Saw(revision);
  for (const etcdserverpb::PutRequest* put : puts) {
    if (problem.empty()) problem = Value(put->key(), put->value(), revision);
  }
  return problem;
}

std::string ClientChecks::Hash(const etcdserverpb::HashKVResponse& response) {
  std::pair at(response.hash_revision(), response.compact_revision());
  auto [row, fresh] = hashes_.try_emplace(at, response.hash());
  if (row->second == response.hash()) return {};
  return fmt::format("two members have hashes {:x} and {:x} at revision {} (compacted {})",
                     row->second, response.hash(), at.first, at.second);
}

std::string ClientChecks::CheckKept(int64_t id, const Kept& kept) const {
  auto lease = model_.leases().find(id);
  if (lease == model_.leases().end() || lease->second.ended < 0 || !lease->second.expired) {
    return {};
  }
  // The leader's clock may run fast.
  auto shortest =
      static_cast<Time>(static_cast<double>(kept.ttl_seconds * kSecond) / fastest_clock_);
  if (lease->second.ended >= kept.sent + shortest) return {};
  return fmt::format("lease {:x} of {} s was kept alive at {} us and expired at {} us", id,
                     kept.ttl_seconds, kept.sent, lease->second.ended);
}

std::string ClientChecks::LeaseKept(int64_t id, int64_t ttl_seconds, Time sent) {
  Kept& kept = kept_[id];
  if (sent >= kept.sent) kept = {ttl_seconds, sent};
  return CheckKept(id, kept);
}

std::string ClientChecks::LeaseEnded(int64_t id) {
  auto kept = kept_.find(id);
  return kept == kept_.end() ? std::string() : CheckKept(id, kept->second);
}

std::string ClientChecks::TimeToLive(const CallStart& start, int64_t id,
                                     int64_t ttl_seconds) const {
  auto lease = model_.leases().find(id);
  bool lives = lease != model_.leases().end() && lease->second.ended < 0;
  if (ttl_seconds < 0 && lives) return fmt::format("lease {:x} lives and is not found", id);
  auto revoked = revoked_.find(id);
  if (ttl_seconds < 0 || revoked == revoked_.end() || revoked->second >= start.at) return {};
  return fmt::format("stale: lease {:x} was revoked at {} us and is found by a call of {} us", id,
                     revoked->second, start.at);
}

std::string ClientChecks::Contents(const mvcc::MvccStore& store) const {
  return Whole(store.View().Range(apply::ToQuery(Everything())), store.current().value());
}

std::string ClientChecks::Held(const mvcc::HeldView& view) const {
  // Its state made room for a snapshot.
  if (view.cancelled()) return {};
  return Whole(view.Range(apply::ToQuery(Everything())), view.revision().value());
}

std::string ClientChecks::Whole(const Result<mvcc::RangeResult>& result, int64_t at) const {
  if (at > model_.revision()) return fmt::format("revision {} is not committed", at);
  if (!result) return "the state cannot be read: " + result.error().ToString();
  etcdserverpb::RangeResponse got;
  apply::ToProto(*result, &got);
  etcdserverpb::RangeResponse expected = model_.Range(Everything(), at);
  if (got.SerializeAsString() == expected.SerializeAsString()) return {};
  return fmt::format("the state at revision {} is {{{}}}, expected {{{}}}", at,
                     got.ShortDebugString(), expected.ShortDebugString());
}

std::string ClientChecks::Refused() const {
  for (const std::string& value : refused_) {
    if (model_.HasValue(value))
      return fmt::format("the put of {} was refused, but is there", value);
  }
  return {};
}

}  // namespace store::sim
