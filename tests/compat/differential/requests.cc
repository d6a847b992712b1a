// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/differential/requests.h"

#include <algorithm>
#include <utility>

namespace compat {
namespace {

using namespace std::string_literals;
using etcdserverpb::RangeRequest;

const std::vector<std::string>& Keys() {
  static const std::vector<std::string> keys = {
      "a/1"s, "a/2"s, "a/3"s, "a/4"s, "a/5"s,  "a/6"s,      "a/7"s,    "a/8"s,
      "b/1"s, "b/2"s, "b/3"s, "b/4"s, "k"s,    "k\0"s,      "k\0\0"s,  "ka"s,
      "\0"s,  "\0z"s, "~"s,   "z"s,   "\xff"s, "\xff\xff"s, "a/\xff"s, "a/\xff\xffq"s};
  return keys;
}

std::string PrefixEnd(std::string key) {
  while (!key.empty() && static_cast<unsigned char>(key.back()) == 0xff) key.pop_back();
  if (key.empty()) return "\0"s;
  key.back() = static_cast<char>(static_cast<unsigned char>(key.back()) + 1);
  return key;
}

}  // namespace

std::string Requests::SomeKey() { return Pick(Keys()); }

std::string Requests::Key() { return Chance(0.01) ? ""s : SomeKey(); }

std::string Requests::RangeEnd(const std::string& key) {
  switch (random_.Below(10)) {
    case 0:
    case 1:
    case 2:
      return "";
    case 3:
      return "\0"s;
    case 4:
      return key + "\0"s;
    case 5:
      return key;
    case 6:
      return PrefixEnd(key.substr(0, std::min<size_t>(key.size(), 2)));
    case 7:
      return PrefixEnd(key.substr(0, 1));
    default:
      return SomeKey();  // as often before the key as after it
  }
}

std::string Requests::Value() {
  if (Chance(0.1)) return "";
  if (Chance(0.01)) return std::string(random_.Between(1000, 20000), 'v');
  // Few values, so that compares and sorting by value meet equal ones.
  return "v" + std::to_string(random_.Below(12)) + (Chance(0.1) ? "\0\xff"s : "");
}

int64_t Requests::ReadRevision(const World& world) {
  auto near = [this](int64_t revision) { return revision + random_.Below(5) - 2; };
  switch (random_.Below(16)) {
    case 0:
      return near(world.compacted);
    case 1:
      return near(world.current);
    case 2:
      return -static_cast<int64_t>(random_.Below(3));
    case 3:
      return world.current + random_.Below(1000);
    case 4:
    case 5:
    case 6:
      return static_cast<int64_t>(
          random_.Between(static_cast<uint64_t>(std::max<int64_t>(world.compacted, 1)),
                          static_cast<uint64_t>(std::max<int64_t>(world.current, 1))));
    default:
      return 0;
  }
}

int64_t Requests::SmallNumber(const World& world) {
  switch (random_.Below(4)) {
    case 0:
      return static_cast<int64_t>(random_.Below(4)) - 1;
    case 1:
      return world.current - static_cast<int64_t>(random_.Below(20));
    default:
      return world.compacted + static_cast<int64_t>(random_.Below(
                                   static_cast<uint64_t>(world.current - world.compacted) + 2));
  }
}

int64_t Requests::SomeLease(const World& world) {
  if (world.leases.empty() || Chance(0.1)) return Chance(0.5) ? 999999 : -77;
  auto at = world.leases.begin();
  std::advance(at, static_cast<int64_t>(random_.Below(world.leases.size())));
  return at->first;
}

void Requests::FillRange(const World& world, bool in_txn, RangeRequest& range) {
  range.set_key(Key());
  range.set_range_end(RangeEnd(range.key()));
  range.set_revision(ReadRevision(world));
  range.set_serializable(Chance(0.3));
  range.set_keys_only(Chance(0.15));
  range.set_count_only(Chance(0.08));
  if (Chance(0.4)) range.set_limit(Pick<int64_t>({-1, 1, 2, 3, 5, 1000}));
  if (Chance(0.4)) {
    range.set_sort_order(static_cast<RangeRequest::SortOrder>(random_.Below(3)));
    range.set_sort_target(static_cast<RangeRequest::SortTarget>(random_.Below(5)));
  }
  bool plain = !in_txn && !range.key().empty();
  if (Chance(0.01) && (!old_ || plain)) {
    // A number the API does not have, as only a newer client would send it.
    auto number = static_cast<int>(Pick<int64_t>({5, 77, -1}));
    // An unknown target is the end of etcd 3.4.
    old_ || Chance(0.5) ? range.set_sort_order(static_cast<RangeRequest::SortOrder>(number))
                        : range.set_sort_target(static_cast<RangeRequest::SortTarget>(number));
  }
  if (!Chance(0.2)) return;
  if (Chance(0.4)) range.set_min_mod_revision(SmallNumber(world));
  if (Chance(0.4)) range.set_max_mod_revision(SmallNumber(world));
  if (Chance(0.4)) range.set_min_create_revision(SmallNumber(world));
  if (Chance(0.4)) range.set_max_create_revision(SmallNumber(world));
}

void Requests::FillPut(const World& world, bool in_txn, etcdserverpb::PutRequest& put) {
  put.set_key(Key());
  put.set_value(Value());
  put.set_prev_kv(Chance(0.3));
  // Ids of the stores' choice stay away from keys: they are part of what HashKV hashes.
  if (Chance(0.2)) {
    int64_t lease = SomeLease(world);
    if (lease < kChosenLeases) put.set_lease(lease);
  }
  if (Chance(0.06)) {
    put.set_ignore_value(true);
    if (Chance(0.8)) put.clear_value();
  }
  if (Chance(0.06)) {
    put.set_ignore_lease(true);
    if (Chance(0.8)) put.clear_lease();
  }
  if (in_txn || !Chance(0.006)) return;
  put.set_key("big");
  put.set_value(std::string(random_.Between(300'000, 1'400'000), 'b'));
}

void Requests::FillDelete(etcdserverpb::DeleteRangeRequest& request) {
  request.set_key(Key());
  request.set_range_end(Chance(0.6) ? "" : RangeEnd(request.key()));
  request.set_prev_kv(Chance(0.4));
}

void Requests::FillCompare(const World& world, etcdserverpb::Compare& compare) {
  using etcdserverpb::Compare;
  compare.set_key(Key());
  if (Chance(0.25)) compare.set_range_end(RangeEnd(compare.key()));
  compare.set_result(static_cast<Compare::CompareResult>(random_.Below(4)));
  compare.set_target(static_cast<Compare::CompareTarget>(random_.Below(5)));
  if (Chance(0.02)) compare.set_result(static_cast<Compare::CompareResult>(7));
  // Mostly the operand that belongs to the target.
  uint64_t operand = Chance(0.03) ? random_.Below(6) : static_cast<uint64_t>(compare.target());
  switch (operand) {
    case Compare::VERSION:
      return compare.set_version(static_cast<int64_t>(random_.Below(5)));
    case Compare::CREATE:
      return compare.set_create_revision(SmallNumber(world));
    case Compare::MOD:
      return compare.set_mod_revision(SmallNumber(world));
    case Compare::VALUE:
      return compare.set_value(Value());
    case Compare::LEASE:
      return compare.set_lease(Chance(0.5) ? 0 : SomeLease(world));
    default:
      return;
  }
}

void Requests::FillOp(const World& world, int depth, etcdserverpb::RequestOp& op) {
  uint64_t draw = random_.Below(100);
  if (draw < 40) return FillPut(world, true, *op.mutable_request_put());
  if (draw < 60) {
    FillDelete(*op.mutable_request_delete_range());
    // etcd takes this end for a key when it looks for duplicates, and then deletes what it has put.
    auto& request = *op.mutable_request_delete_range();
    if (request.range_end() == "\0"s) request.set_range_end("zz");
    return;
  }
  if (draw < 88 || depth > 2) return FillRange(world, true, *op.mutable_request_range());
  // Without space 3.4 does a put that is nested, newer releases refuse it.
  const bool nested = draw < 99 && !(old_ && !world.alarms.empty());
  if (nested) return FillTxn(world, depth + 1, *op.mutable_request_txn());
  // An operation that is none.
}

void Requests::FillTxn(const World& world, int depth, etcdserverpb::TxnRequest& txn) {
  // Half of the transactions have a branch that can run: no compare at all.
  if (Chance(0.5)) {
    for (uint64_t i = random_.Below(4); i > 0; --i) FillCompare(world, *txn.add_compare());
  }
  for (uint64_t i = random_.Below(4); i > 0; --i) FillOp(world, depth, *txn.add_success());
  for (uint64_t i = random_.Below(3); i > 0; --i) FillOp(world, depth, *txn.add_failure());
  if (!Chance(0.01)) return;
  // Around the limit of operations.
  for (uint64_t i = random_.Between(126, 130); i > 0; --i) {
    txn.add_success()->mutable_request_range()->set_key("k");
  }
}

Step Requests::Unary(std::string method, MessagePtr request) {
  Step step;
  step.method = std::move(method);
  step.request = std::move(request);
  return step;
}

Step Requests::KvStep(const World& world, uint64_t draw) {
  if (draw < 380) {
    auto put = std::make_unique<etcdserverpb::PutRequest>();
    FillPut(world, false, *put);
    return Unary("KV/Put", std::move(put));
  }
  if (draw < 560) {
    auto range = std::make_unique<RangeRequest>();
    FillRange(world, false, *range);
    return Unary("KV/Range", std::move(range));
  }
  if (draw < 580) {
    auto range = std::make_unique<RangeRequest>();
    FillRange(world, true, *range);
    Step step = Unary("KV/RangeStream", std::move(range));
    step.kind = Step::Kind::kRangeStream;
    return step;
  }
  if (draw < 640) {
    auto request = std::make_unique<etcdserverpb::DeleteRangeRequest>();
    FillDelete(*request);
    return Unary("KV/DeleteRange", std::move(request));
  }
  auto txn = std::make_unique<etcdserverpb::TxnRequest>();
  FillTxn(world, 0, *txn);
  return Unary("KV/Txn", std::move(txn));
}

Step Requests::Grant(const World& world) {
  auto grant = std::make_unique<etcdserverpb::LeaseGrantRequest>();
  // Far enough apart that their order by time left is the order of these numbers.
  grant->set_ttl(100'000 + next_lease_ * 100);
  if (Chance(0.1)) grant->set_ttl(Pick<int64_t>({-5, 0, 1, 2, 3, 9'000'000'000, 9'000'000'001}));
  uint64_t draw = random_.Below(10);
  if (draw == 0) {
    grant->set_id(SomeLease(world));
  } else if (draw < 9) {
    grant->set_id(++next_lease_ * (Chance(0.1) ? -1 : 1));
  }
  return Unary("Lease/LeaseGrant", std::move(grant));
}

Step Requests::LeaseStep(const World& world) {
  uint64_t draw = random_.Below(100);
  if (world.leases.size() > 30) draw = 35;
  if (draw < 30) return Grant(world);
  if (draw < 45) {
    auto revoke = std::make_unique<etcdserverpb::LeaseRevokeRequest>();
    revoke->set_id(SomeLease(world));
    return Unary("Lease/LeaseRevoke", std::move(revoke));
  }
  if (draw < 65) {
    auto request = std::make_unique<etcdserverpb::LeaseKeepAliveRequest>();
    request->set_id(Chance(0.03) ? 0 : SomeLease(world));
    Step step = Unary("Lease/LeaseKeepAlive", std::move(request));
    step.kind = Step::Kind::kKeepAlive;
    return step;
  }
  if (draw < 92) {
    auto request = std::make_unique<etcdserverpb::LeaseTimeToLiveRequest>();
    request->set_id(Chance(0.03) ? 0 : SomeLease(world));
    request->set_keys(Chance(0.7));
    return Unary("Lease/LeaseTimeToLive", std::move(request));
  }
  return Unary("Lease/LeaseLeases", std::make_unique<etcdserverpb::LeaseLeasesRequest>());
}

Step Requests::CreateWatch(const World& world, size_t stream) {
  auto request = std::make_unique<etcdserverpb::WatchRequest>();
  auto& create = *request->mutable_create_request();
  create.set_key(Chance(0.05) ? "" : Chance(0.1) ? "big" : SomeKey());
  create.set_range_end(RangeEnd(create.key()));
  create.set_prev_kv(Chance(0.4));
  create.set_fragment(Chance(0.3));
  create.set_progress_notify(Chance(0.2));
  if (Chance(0.15)) create.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  if (Chance(0.15)) create.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  if (Chance(0.02)) {
    create.add_filters(static_cast<etcdserverpb::WatchCreateRequest::FilterType>(9));
  }
  if (Chance(0.3)) create.set_watch_id(static_cast<int64_t>(random_.Below(12)) - 3);
  int64_t start = Chance(0.4) ? 0 : ReadRevision(world);
  // Enough of the past for more than one answer.
  if (create.key() == "big" && Chance(0.6)) start = world.compacted + 1;
  // Before 3.5.18 a deletion at the compacted revision itself was lost (etcd #19179).
  if (old_ && start > 0 && start == world.compacted) ++start;
  if (start < 0) {
    start = -7;
    // There a watcher is made and cancelled, which uses up a number; here it never is one.
    if (old_) {
      create.set_watch_id(1000 + static_cast<int64_t>(random_.Below(1'000'000'000)));
      create.clear_range_end();
    }
  }
  if (dialect_ == Dialect::kOldWithItself) start = std::max<int64_t>(start, 0);
  create.set_start_revision(start);
  Step step = Unary("Watch/Watch", std::move(request));
  step.kind = Step::Kind::kWatch;
  step.stream = stream;
  return step;
}

Step Requests::WatchStep(const World& world) {
  size_t stream = random_.Below(kWatchStreams);
  uint64_t draw = random_.Below(100);
  if (draw < 42) return CreateWatch(world, stream);
  auto request = std::make_unique<etcdserverpb::WatchRequest>();
  if (draw < 80) {
    request->mutable_cancel_request()->set_watch_id(static_cast<int64_t>(random_.Below(12)) - 3);
  } else if (draw < 92) {
    request->mutable_progress_request();
  }  // else: a request that is none
  Step step = Unary("Watch/Watch", std::move(request));
  step.kind = draw < 96 ? Step::Kind::kWatch : Step::Kind::kWatchClose;
  step.stream = stream;
  return step;
}

Step Requests::MaintenanceStep(const World& world) {
  uint64_t draw = random_.Below(100);
  if (draw < 45) {
    auto request = std::make_unique<etcdserverpb::HashKVRequest>();
    request->set_revision(Chance(0.1) ? world.compacted : ReadRevision(world));
    return Unary("Maintenance/HashKV", std::move(request));
  }
  if (draw < 70) {
    auto request = std::make_unique<etcdserverpb::CompactionRequest>();
    int64_t behind = static_cast<int64_t>(random_.Below(40));
    request->set_revision(Chance(0.6) ? world.current - behind : ReadRevision(world));
    // Only once and with an odd end: HashKV of 0 is from then on that of the empty store (golden).
    if (request->revision() == 0) request->set_revision(1);
    request->set_physical(Chance(0.5));
    return Unary("KV/Compact", std::move(request));
  }
  if (draw < 85) {
    return Unary("Maintenance/Status", std::make_unique<etcdserverpb::StatusRequest>());
  }
  if (draw < 90) return Unary("Maintenance/Hash", std::make_unique<etcdserverpb::HashRequest>());
  auto alarm = std::make_unique<etcdserverpb::AlarmRequest>();
  alarm->set_memberid(random_.Below(2) * 4711);
  if (draw < 95) {
    alarm->set_action(etcdserverpb::AlarmRequest::ACTIVATE);
    // 3.4 raises an alarm of kind none.
    alarm->set_alarm(static_cast<etcdserverpb::AlarmType>(random_.Between(old_ ? 1 : 0, 2)));
    // Of two alarms the later one counts in 3.4, and none when one of them is lowered.
    if (old_ && !world.alarms.empty()) {
      alarm->set_memberid(world.alarms.begin()->first);
      alarm->set_alarm(static_cast<etcdserverpb::AlarmType>(world.alarms.begin()->second));
    }
  }
  return Unary("Maintenance/Alarm", std::move(alarm));
}

Step Requests::Next(const World& world) {
  if (!world.short_leases.empty()) {
    auto revoke = std::make_unique<etcdserverpb::LeaseRevokeRequest>();
    revoke->set_id(world.short_leases.front());
    return Unary("Lease/LeaseRevoke", std::move(revoke));
  }
  if (!world.alarms.empty() && Chance(0.1)) {
    return Unary("Maintenance/Status", std::make_unique<etcdserverpb::StatusRequest>());
  }
  if (!world.alarms.empty() && Chance(0.2)) {
    auto alarm = std::make_unique<etcdserverpb::AlarmRequest>();
    alarm->set_action(etcdserverpb::AlarmRequest::DEACTIVATE);
    alarm->set_memberid(world.alarms.begin()->first);
    alarm->set_alarm(static_cast<etcdserverpb::AlarmType>(world.alarms.begin()->second));
    return Unary("Maintenance/Alarm", std::move(alarm));
  }
  uint64_t draw = random_.Below(1000);
  if (draw < 830) return KvStep(world, draw);
  if (draw < 900) return LeaseStep(world);
  if (draw < 975) return WatchStep(world);
  return MaintenanceStep(world);
}

Step Requests::Expire() {
  Step step;
  step.kind = Step::Kind::kExpire;
  return step;
}

}  // namespace compat
