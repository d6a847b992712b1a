// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/differential/lockstep.h"

#include "store/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace compat {
namespace {

using google::protobuf::DynamicCastToGenerated;
using google::protobuf::Message;

constexpr store::Duration kPatience = std::chrono::seconds(20);
constexpr int kHashTries = 100;
constexpr store::Duration kHashPause = std::chrono::milliseconds(100);
constexpr size_t kShownBytesMax = 3000;
// Leases with less are about to run out while the test does other things.
constexpr int64_t kShortTtl = 1000;

std::string Shown(const Message& message) {
  std::string text = message.ShortDebugString();
  if (text.size() > kShownBytesMax) text.replace(kShownBytesMax, std::string::npos, "...");
  return text;
}

std::string Shown(const Reply& reply) {
  if (reply.message == nullptr) return fmt::format("code {}: {}", reply.code, reply.text);
  return "{" + Shown(*reply.message) + "}";
}

MessagePtr Copy(const Message& message) {
  MessagePtr copy(message.New());
  copy->CopyFrom(message);
  return copy;
}

}  // namespace

etcdserverpb::ResponseHeader HeaderOf(const Message& message) {
  const auto* field = message.GetDescriptor()->FindFieldByName("header");
  if (field == nullptr || !message.GetReflection()->HasField(message, field)) return {};
  return *DynamicCastToGenerated<etcdserverpb::ResponseHeader>(
      &message.GetReflection()->GetMessage(message, field));
}

Lockstep::Lockstep(const LockstepOptions& options, Rules& rules)
    : options_(options), rules_(rules) {
  for (size_t i = 0; i < stores_.size(); ++i) {
    stores_[i].wire = std::make_unique<Wire>(queue_, options_.endpoints[i]);
  }
}

bool Lockstep::Differ(std::string what) {
  difference_ = std::move(what);
  return false;
}

bool Lockstep::Equal(const std::string& what, const Reply& first, const Reply& second) {
  ++counts_[what.substr(0, what.find(' '))];
  bool equal = first.code == second.code && first.text == second.text &&
               (first.message == nullptr) == (second.message == nullptr);
  if (equal && first.message != nullptr) {
    equal = first.message->SerializeAsString() == second.message->SerializeAsString();
  }
  if (equal) return true;
  return Differ(fmt::format("{}\n  first:  {}\n  second: {}", what, Shown(first), Shown(second)));
}

Reply Lockstep::AskOne(Store& store, const std::string& method, const Message& request) {
  auto call = store.wire->Start(FindMethod(method), request);
  queue_.WaitUntil([&call] { return call->done; }, kPatience);
  return std::move(call->reply);
}

void Lockstep::ClearAway(Store& store) {
  Reply alarms = AskOne(store, "Maintenance/Alarm", etcdserverpb::AlarmRequest());
  if (alarms.message != nullptr) {
    const auto& raised = *DynamicCastToGenerated<etcdserverpb::AlarmResponse>(alarms.message.get());
    for (const auto& alarm : raised.alarms()) {
      etcdserverpb::AlarmRequest lower;
      lower.set_action(etcdserverpb::AlarmRequest::DEACTIVATE);
      lower.set_memberid(alarm.memberid());
      lower.set_alarm(alarm.alarm());
      AskOne(store, "Maintenance/Alarm", lower);
    }
  }
  Reply leases = AskOne(store, "Lease/LeaseLeases", etcdserverpb::LeaseLeasesRequest());
  if (leases.message == nullptr) return;
  const auto& left =
      *DynamicCastToGenerated<etcdserverpb::LeaseLeasesResponse>(leases.message.get());
  for (const auto& lease : left.leases()) {
    etcdserverpb::LeaseRevokeRequest revoke;
    revoke.set_id(lease.id());
    AskOne(store, "Lease/LeaseRevoke", revoke);
  }
}

bool Lockstep::Begin() {
  for (Store& store : stores_) ClearAway(store);
  etcdserverpb::RangeRequest request;
  request.set_key("\0", 1);
  request.set_range_end("\0", 1);
  std::array<Reply, 2> replies;
  for (size_t i = 0; i < stores_.size(); ++i) {
    replies[i] = AskOne(stores_[i], "KV/Range", request);
    if (replies[i].message == nullptr) {
      return Differ(fmt::format("{} does not answer: {}", options_.endpoints[i], replies[i].text));
    }
    stores_[i].identity.Learn(HeaderOf(*replies[i].message));
    stores_[i].identity.MapReply(*replies[i].message);
  }
  if (!Equal("KV/Range of everything", replies[0], replies[1])) return false;
  world_.current = HeaderOf(*replies[0].message).revision();
  world_.compacted = world_.current;
  // What was before is not known here; on a fresh store there is nothing.
  etcdserverpb::CompactionRequest forget;
  forget.set_revision(world_.current);
  forget.set_physical(true);
  for (Store& store : stores_) {
    if (world_.current > 1) AskOne(store, "KV/Compact", forget);
  }
  etcdserverpb::WatchRequest watch;
  watch.mutable_create_request()->set_key("\0", 1);
  watch.mutable_create_request()->set_range_end("\0", 1);
  watch.mutable_create_request()->set_prev_kv(true);
  for (Store& store : stores_) {
    store.observer = store.wire->Open(FindMethod("Watch/Watch"));
    store.observer->Send(watch);
  }
  return queue_.WaitUntil(
      [this] {
        return std::all_of(stores_.begin(), stores_.end(),
                           [](Store& store) { return !store.observer->responses().empty(); });
      },
      kPatience);
}

bool Lockstep::Ask(const std::string& method, const Message& request,
                   std::array<Reply, 2>& replies) {
  const auto* descriptor = FindMethod(method);
  CHECK(descriptor != nullptr);
  std::array<std::shared_ptr<Wire::Unary>, 2> calls;
  for (size_t i = 0; i < stores_.size(); ++i) {
    MessagePtr mapped = Copy(request);
    stores_[i].identity.MapRequest(*mapped);
    calls[i] = stores_[i].wire->Start(descriptor, *mapped);
  }
  if (!queue_.WaitUntil([&calls] { return calls[0]->done && calls[1]->done; }, kPatience * 2)) {
    return Differ(fmt::format("{} {{{}}}: no answer", method, Shown(request)));
  }
  for (size_t i = 0; i < stores_.size(); ++i) replies[i] = std::move(calls[i]->reply);
  const auto* grant = DynamicCastToGenerated<etcdserverpb::LeaseGrantRequest>(&request);
  if (grant != nullptr && grant->id() == 0) {
    ++chosen_leases_;
    for (size_t i = 0; i < stores_.size(); ++i) {
      if (replies[i].message == nullptr) continue;
      auto* granted =
          DynamicCastToGenerated<etcdserverpb::LeaseGrantResponse>(replies[i].message.get());
      stores_[i].identity.Bind(chosen_leases_, granted->id());
    }
  }
  for (size_t i = 0; i < stores_.size(); ++i) {
    if (replies[i].message != nullptr) stores_[i].identity.MapReply(*replies[i].message);
  }
  return true;
}

// With no key alive etcd hashes all that is stored, also what a compaction has not removed yet.
bool Lockstep::MayStillCollect(const Message& request, const std::array<Reply, 2>& replies) {
  const auto* hash = DynamicCastToGenerated<etcdserverpb::HashKVRequest>(&request);
  if (hash == nullptr || replies[0].message == nullptr || replies[1].message == nullptr) {
    return false;
  }
  if (replies[0].message->SerializeAsString() == replies[1].message->SerializeAsString()) {
    return false;
  }
  etcdserverpb::RangeRequest alive;
  alive.set_key("\0", 1);
  alive.set_range_end("\0", 1);
  alive.set_revision(hash->revision());
  alive.set_count_only(true);
  const Reply count = AskOne(stores_[0], "KV/Range", alive);
  return count.message != nullptr &&
         DynamicCastToGenerated<etcdserverpb::RangeResponse>(count.message.get())->count() == 0;
}

bool Lockstep::RunUnary(const Step& step) {
  std::array<Reply, 2> replies;
  for (auto left = kHashTries; left > 0; --left) {
    if (!Ask(step.method, *step.request, replies)) return false;
    rules_.Translate(*step.request, replies[0], replies[1]);
    if (!MayStillCollect(*step.request, replies)) break;
    queue_.WaitUntil([] { return false; }, kHashPause);
  }
  std::string what = fmt::format("{} {{{}}}", step.method, Shown(*step.request));
  if (!Equal(what, replies[0], replies[1])) return false;
  // The second's, since the rules may have put the first's together.
  if (replies[1].message != nullptr) {
    Learn(step, replies[1]);
    if (!Follow(HeaderOf(*replies[1].message).revision())) return false;
  }
  return true;
}

void Lockstep::Learn(const Step& step, const Reply& reply) {
  const Message* request = step.request.get();
  if (const auto* compact = DynamicCastToGenerated<etcdserverpb::CompactionRequest>(request)) {
    world_.Compacted(compact->revision());
  } else if (const auto* granted =
                 DynamicCastToGenerated<etcdserverpb::LeaseGrantResponse>(reply.message.get())) {
    world_.leases[granted->id()] = granted->ttl();
    if (granted->ttl() < kShortTtl) world_.short_leases.push_back(granted->id());
  } else if (const auto* revoke =
                 DynamicCastToGenerated<etcdserverpb::LeaseRevokeRequest>(request)) {
    world_.leases.erase(revoke->id());
    std::erase(world_.short_leases, revoke->id());
  } else if (const auto* alarm = DynamicCastToGenerated<etcdserverpb::AlarmRequest>(request)) {
    std::pair<uint64_t, int> key(alarm->memberid(), alarm->alarm());
    if (alarm->action() == etcdserverpb::AlarmRequest::ACTIVATE && alarm->alarm() != 0) {
      world_.alarms.insert(key);
    } else if (alarm->action() == etcdserverpb::AlarmRequest::DEACTIVATE) {
      world_.alarms.erase(key);
    }
  }
}

bool Lockstep::CollectStream(Stream& stream, Reply& reply) {
  if (!queue_.WaitUntil([&stream] { return stream.finished(); }, kPatience)) return false;
  reply = stream.status();
  if (reply.code != 0) return true;
  auto whole = std::make_unique<etcdserverpb::RangeResponse>();
  for (MessagePtr& piece : stream.responses()) {
    whole->MergeFrom(
        DynamicCastToGenerated<etcdserverpb::RangeStreamResponse>(piece.get())->range_response());
  }
  reply.message = std::move(whole);
  return true;
}

bool Lockstep::RunRangeStream(const Step& step) {
  auto& request = *DynamicCastToGenerated<etcdserverpb::RangeRequest>(step.request.get());
  bool as_range = rules_.Use("range-stream", true);
  if (as_range) {
    // Only what both calls take; the limits of the stream are told by golden cases.
    request.clear_sort_order();
    request.clear_sort_target();
    request.clear_min_mod_revision();
    request.clear_max_mod_revision();
    request.clear_min_create_revision();
    request.clear_max_create_revision();
  }
  const bool target_alone = request.sort_order() == etcdserverpb::RangeRequest::NONE &&
                            etcdserverpb::RangeRequest::SortTarget_IsValid(request.sort_target()) &&
                            request.sort_target() != etcdserverpb::RangeRequest::KEY;
  if (rules_.Use("range-stream-target", target_alone)) request.clear_sort_target();
  std::array<Reply, 2> replies;
  for (size_t i = 0; i < stores_.size(); ++i) {
    if (i == 0 && as_range) {
      auto call = stores_[i].wire->Start(FindMethod("KV/Range"), request);
      if (!queue_.WaitUntil([&call] { return call->done; }, kPatience)) {
        return Differ("KV/RangeStream: no answer of the first to a range");
      }
      replies[i] = std::move(call->reply);
    } else {
      auto stream = stores_[i].wire->Open(FindMethod(step.method));
      stream->Send(request);
      stream->CloseSend();
      if (!CollectStream(*stream, replies[i])) {
        return Differ(fmt::format("KV/RangeStream {{{}}}: no end", Shown(request)));
      }
    }
    if (replies[i].message != nullptr) stores_[i].identity.MapReply(*replies[i].message);
  }
  rules_.Translate(request, replies[0], replies[1]);
  return Equal(fmt::format("{} {{{}}}", step.method, Shown(request)), replies[0], replies[1]);
}

bool Lockstep::RunKeepAlive(const Step& step) {
  std::array<Reply, 2> replies;
  for (Store& store : stores_) {
    if (store.keep_alive == nullptr) store.keep_alive = store.wire->Open(FindMethod(step.method));
    MessagePtr mapped = Copy(*step.request);
    store.identity.MapRequest(*mapped);
    store.keep_alive->Send(*mapped);
  }
  for (size_t i = 0; i < stores_.size(); ++i) {
    Stream& stream = *stores_[i].keep_alive;
    if (!queue_.WaitUntil([&] { return !stream.responses().empty() || stream.finished(); },
                          kPatience)) {
      return Differ(fmt::format("{} {{{}}}: store {} does not answer", step.method,
                                Shown(*step.request), i + 1));
    }
    if (stream.responses().empty()) {
      replies[i] = stream.status();
      stores_[i].keep_alive.reset();
      continue;
    }
    replies[i].message = std::move(stream.responses().front());
    stream.responses().pop_front();
    stores_[i].identity.MapReply(*replies[i].message);
  }
  return Equal(fmt::format("{} {{{}}}", step.method, Shown(*step.request)), replies[0], replies[1]);
}

bool Lockstep::RunExpire() {
  if (!world_.alarms.empty()) return true;
  etcdserverpb::LeaseGrantRequest grant;
  grant.set_id(++expiring_leases_);
  grant.set_ttl(1);
  std::array<Reply, 2> replies;
  if (!Ask("Lease/LeaseGrant", grant, replies)) return false;
  if (!Equal("Lease/LeaseGrant that expires", replies[0], replies[1])) return false;
  for (const char* key : {"k", "a/1", "b/2"}) {
    etcdserverpb::PutRequest put;
    put.set_key(key);
    put.set_lease(grant.id());
    if (!Ask("KV/Put", put, replies)) return false;
    if (!Equal("KV/Put on a lease that expires", replies[0], replies[1])) return false;
    if (!Follow(HeaderOf(*replies[1].message).revision())) return false;
  }
  // The observers see what the expiry deletes.
  return Follow(world_.current + 1);
}

bool Lockstep::Run(const Step& step) {
  bool equal = true;
  switch (step.kind) {
    case Step::Kind::kUnary:
      // A watcher that was not caught up with yet would be cancelled by a compaction.
      if (step.method == "KV/Compact") WaitForCatchUp();
      equal = RunUnary(step);
      break;
    case Step::Kind::kRangeStream:
      equal = RunRangeStream(step);
      break;
    case Step::Kind::kKeepAlive:
      equal = RunKeepAlive(step);
      break;
    case Step::Kind::kWatch:
      equal = RunWatch(step);
      break;
    case Step::Kind::kWatchClose:
      equal = RunWatchClose(step);
      break;
    case Step::Kind::kExpire:
      equal = RunExpire();
      break;
  }
  if (equal && CheckWatches()) return true;
  if (step.request != nullptr && step.method == "Watch/Watch") {
    difference_ += fmt::format("\n  after stream {}: {{{}}}", step.stream, Shown(*step.request));
  }
  return false;
}

}  // namespace compat
