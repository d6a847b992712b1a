// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/differential/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <utility>

namespace compat {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using google::protobuf::DynamicCastToGenerated;
using google::protobuf::Message;

bool IsKnownSort(const RangeRequest& request) {
  return RangeRequest::SortOrder_IsValid(request.sort_order()) &&
         RangeRequest::SortTarget_IsValid(request.sort_target());
}

// What two key-values must share for the order of the two to be open.
std::string SortedBy(const RangeRequest& request, const mvccpb::KeyValue& kv) {
  switch (request.sort_target()) {
    case RangeRequest::VERSION:
      return std::to_string(kv.version());
    case RangeRequest::CREATE:
      return std::to_string(kv.create_revision());
    case RangeRequest::MOD:
      return std::to_string(kv.mod_revision());
    case RangeRequest::VALUE:
      return request.keys_only() ? "" : kv.value();
    default:
      return kv.key();
  }
}

// Ties in the order of their keys, and without those among which the limit had to choose.
void OrderTies(const RangeRequest& request, RangeResponse& response) {
  auto& kvs = *response.mutable_kvs();
  for (auto at = kvs.begin(); at != kvs.end();) {
    std::string value = SortedBy(request, *at);
    auto end = std::find_if(
        at, kvs.end(), [&](const mvccpb::KeyValue& kv) { return SortedBy(request, kv) != value; });
    std::sort(at, end, [](const auto& a, const auto& b) { return a.key() < b.key(); });
    if (end == kvs.end() && response.more() && end - at > 0) {
      for (; at != end; ++at) at->Clear();
    }
    at = end;
  }
}

// An error that a transaction meets only when it is applied.
bool IsFoundWhenApplied(const Reply& reply) {
  return reply.text == "etcdserver: mvcc: required revision has been compacted" ||
         reply.text == "etcdserver: mvcc: required revision is a future revision" ||
         reply.text == "etcdserver: requested lease not found" ||
         reply.text == "etcdserver: key not found";
}

void ClearIfBothSet(Message& first, Message& second, std::string_view name, bool& changed) {
  const auto* field = first.GetDescriptor()->FindFieldByName(std::string(name));
  const auto* reflection = first.GetReflection();
  if (!reflection->HasField(first, field) || !reflection->HasField(second, field)) return;
  reflection->ClearField(&first, field);
  reflection->ClearField(&second, field);
  changed = true;
}

// etcd keeps its alarms by kind in a Go map: the order of kinds is another one each time.
void SortAlarms(Message& answer) {
  if (auto* status = DynamicCastToGenerated<etcdserverpb::StatusResponse>(&answer)) {
    std::sort(status->mutable_errors()->begin(), status->mutable_errors()->end());
  } else if (auto* list = DynamicCastToGenerated<etcdserverpb::AlarmResponse>(&answer)) {
    auto key = [](const etcdserverpb::AlarmMember& alarm) {
      return std::pair(alarm.memberid(), alarm.alarm());
    };
    std::sort(list->mutable_alarms()->begin(), list->mutable_alarms()->end(),
              [key](const auto& a, const auto& b) { return key(a) < key(b); });
  }
}

}  // namespace

Rules::Rules(const std::string& path, std::string_view release) : with_itself_(release == "self") {
  std::ifstream file(path);
  if (!file) {
    std::cerr << fmt::format("{}: cannot be read\n", path);
    std::exit(2);
  }
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream columns(line);
    std::string name;
    std::string releases;
    std::getline(columns, name, '\t');
    std::getline(columns, releases, '\t');
    if (releases == "all" || releases == release) used_[name] = false;
  }
}

bool Rules::Use(std::string_view name, bool applies) {
  auto found = used_.find(std::string(name));
  if (found == used_.end() || !applies) return false;
  found->second = true;
  return true;
}

std::vector<std::string> Rules::Unused() const {
  std::vector<std::string> names;
  if (with_itself_) return names;
  for (const auto& [name, used] : used_) {
    if (!used) names.push_back(name);
  }
  return names;
}

void Rules::TranslateRange(const RangeRequest& request, RangeResponse& first,
                           RangeResponse& second) {
  if (request.keys_only() && request.sort_target() != RangeRequest::VALUE) {
    bool any = std::any_of(first.kvs().begin(), first.kvs().end(),
                           [](const mvccpb::KeyValue& kv) { return kv.lease() != 0; });
    if (Use("keys-only-lease", any)) {
      for (mvccpb::KeyValue& kv : *first.mutable_kvs()) kv.clear_lease();
    }
  }
  bool sorted = request.sort_target() != RangeRequest::KEY;
  if (sorted && first.SerializeAsString() != second.SerializeAsString() &&
      Use("sort-ties", first.kvs_size() == second.kvs_size())) {
    OrderTies(request, first);
    OrderTies(request, second);
  }
}

void Rules::TranslateTxn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse& first,
                         etcdserverpb::TxnResponse& second) {
  const auto& ops = first.succeeded() ? request.success() : request.failure();
  int count = std::min({ops.size(), first.responses_size(), second.responses_size()});
  for (int i = 0; i < count; ++i) {
    auto& left = *first.mutable_responses(i);
    auto& right = *second.mutable_responses(i);
    if (left.has_response_range() && right.has_response_range()) {
      TranslateRange(ops[i].request_range(), *left.mutable_response_range(),
                     *right.mutable_response_range());
    } else if (left.has_response_txn() && right.has_response_txn()) {
      TranslateTxn(ops[i].request_txn(), *left.mutable_response_txn(),
                   *right.mutable_response_txn());
    }
  }
}

void Rules::TranslateStatus(etcdserverpb::StatusResponse& first,
                            etcdserverpb::StatusResponse& second) {
  if (Use("status-version", first.version() != second.version() && second.version() == "3.7.0")) {
    first.set_version(second.version());
  }
  if (Use("status-sizes", first.dbsize() > 0 && second.dbsize() > 0)) {
    bool changed = false;
    for (std::string_view name : {"dbSize", "dbSizeInUse"}) {
      ClearIfBothSet(first, second, name, changed);
    }
  }
  if (Use("status-indexes", first.raftindex() > 0 && second.raftindex() > 0)) {
    bool changed = false;
    for (std::string_view name : {"raftIndex", "raftAppliedIndex"}) {
      ClearIfBothSet(first, second, name, changed);
    }
  }
  bool alarmed = first.errors_size() > 0 && first.errors_size() == second.errors_size();
  if (Use("status-alarm-blanks", alarmed)) {
    for (auto* response : {&first, &second}) {
      for (std::string& text : *response->mutable_errors()) std::erase(text, ' ');
    }
  }
  // Absent in the one, in the other what a fresh 3.7 says.
  if (Use("status-newer-fields", !first.has_downgradeinfo() && second.has_downgradeinfo())) {
    first.set_storageversion("3.7.0");
    first.set_dbsizequota(int64_t{2} << 30);
    first.mutable_downgradeinfo();
  }
}

void Rules::TranslateHashKv(const etcdserverpb::HashKVRequest& request, Reply& first,
                            Reply& second) {
  if (second.message == nullptr) {
    // Not of the newest compaction, which both answer: of one before it.
    const bool kept = compactions_.contains(request.revision()) &&
                      request.revision() < *compactions_.rbegin() && first.message != nullptr &&
                      second.text == "etcdserver: mvcc: required revision has been compacted";
    if (Use("hashkv-kept-hash", kept)) first = {second.code, second.text, nullptr};
    return;
  }
  auto& ours = *DynamicCastToGenerated<etcdserverpb::HashKVResponse>(second.message.get());
  bool at_compacted = request.revision() != 0 && request.revision() == ours.compact_revision();
  if (first.message == nullptr) {
    bool refused = first.text == "etcdserver: mvcc: required revision has been compacted";
    if (!Use("hashkv-at-compacted", refused && at_compacted)) return;
    first = {0, "", MessagePtr(ours.New())};
    first.message->CopyFrom(ours);
    return;
  }
  auto& theirs = *DynamicCastToGenerated<etcdserverpb::HashKVResponse>(first.message.get());
  if (Use("hashkv-kept-hash", at_compacted)) {
    theirs.set_hash(ours.hash());
    theirs.set_compact_revision(ours.compact_revision());
  }
  int64_t asked = request.revision() == 0 ? theirs.header().revision() : request.revision();
  if (Use("hashkv-revision", theirs.hash_revision() == 0)) theirs.set_hash_revision(asked);
}

void Rules::TranslateLease(etcdserverpb::LeaseTimeToLiveResponse& first,
                           etcdserverpb::LeaseTimeToLiveResponse& second) {
  int64_t apart = first.ttl() - second.ttl();
  bool near = first.ttl() > 0 && second.ttl() > 0 && std::abs(apart) <= 1;
  if (Use("lease-seconds-left", near)) first.set_ttl(second.ttl());
  bool several = first.keys_size() > 1 && first.keys_size() == second.keys_size();
  if (Use("lease-keys-order", several)) {
    std::sort(first.mutable_keys()->begin(), first.mutable_keys()->end());
    std::sort(second.mutable_keys()->begin(), second.mutable_keys()->end());
  }
}

void Rules::Translate(const Message& request, Reply& first, Reply& second) {
  if (const auto* range = DynamicCastToGenerated<RangeRequest>(&request)) {
    if (Use("unknown-sort", !IsKnownSort(*range) && first.code != 3)) {
      first = {3, "etcdserver: invalid sort option", nullptr};
    }
  }
  if (DynamicCastToGenerated<etcdserverpb::TxnRequest>(&request) != nullptr) {
    bool both_refused = first.code != 0 && second.code != 0 && first.text != second.text;
    if (Use("txn-check-order",
            both_refused && IsFoundWhenApplied(first) && IsFoundWhenApplied(second))) {
      first = {second.code, second.text, nullptr};
    }
  }
  if (const auto* hash = DynamicCastToGenerated<etcdserverpb::HashKVRequest>(&request)) {
    return TranslateHashKv(*hash, first, second);
  }
  if (first.message == nullptr || second.message == nullptr) return;
  if (const auto* one = DynamicCastToGenerated<etcdserverpb::CompactionRequest>(&request)) {
    compactions_.insert(one->revision());
  }
  Message* left = first.message.get();
  Message* right = second.message.get();
  SortAlarms(*left);
  SortAlarms(*right);
  if (const auto* range = DynamicCastToGenerated<RangeRequest>(&request)) {
    TranslateRange(*range, *DynamicCastToGenerated<RangeResponse>(left),
                   *DynamicCastToGenerated<RangeResponse>(right));
  } else if (const auto* txn = DynamicCastToGenerated<etcdserverpb::TxnRequest>(&request)) {
    TranslateTxn(*txn, *DynamicCastToGenerated<etcdserverpb::TxnResponse>(left),
                 *DynamicCastToGenerated<etcdserverpb::TxnResponse>(right));
  } else if (auto* status = DynamicCastToGenerated<etcdserverpb::StatusResponse>(left)) {
    TranslateStatus(*status, *DynamicCastToGenerated<etcdserverpb::StatusResponse>(right));
  } else if (auto* lease = DynamicCastToGenerated<etcdserverpb::LeaseTimeToLiveResponse>(left)) {
    TranslateLease(*lease, *DynamicCastToGenerated<etcdserverpb::LeaseTimeToLiveResponse>(right));
  } else if (auto* hash = DynamicCastToGenerated<etcdserverpb::HashResponse>(left)) {
    auto* ours = DynamicCastToGenerated<etcdserverpb::HashResponse>(right);
    if (Use("hash-of-the-files", hash->hash() != ours->hash())) hash->set_hash(ours->hash());
  } else if (auto* alarm = DynamicCastToGenerated<etcdserverpb::AlarmResponse>(left)) {
    auto* ours = DynamicCastToGenerated<etcdserverpb::AlarmResponse>(right);
    if (Use("alarm-header", !alarm->has_header())) *alarm->mutable_header() = ours->header();
  }
}

}  // namespace compat
