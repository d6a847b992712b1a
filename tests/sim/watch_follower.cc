// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/watch_follower.h"

#include "tests/sim/draw.h"
#include "tests/sim/store_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::sim {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

std::string WatchFollower::Name() const {
  return fmt::format("watch {{{}}} at revision {} ({})", create_.ShortDebugString(), next_, told_);
}

void WatchFollower::Connect() {
  if (left_) return;
  auto at = group_.members().begin();
  std::advance(at, static_cast<ptrdiff_t>(random_.Below(group_.members().size())));
  StoreProcess* process = at->second.process.get();
  if (process == nullptr) return ReconnectLater(100 * kMillisecond);
  uint64_t number = ++connection_;
  auto guarded = [weak = weak_from_this(), number](auto action) {
    auto self = weak.lock();
    if (self != nullptr && self->connection_ == number && !self->left_) action(*self);
  };
  SimCall::Client client;
  client.on_message = [guarded](const std::string& bytes) {
    guarded([&](WatchFollower& self) { self.OnMessage(bytes); });
  };
  client.on_finish = [guarded](const rpc::RpcStatus&) {
    guarded([](WatchFollower& self) { self.OnBroken(); });
  };
  client.on_severed = [guarded] { guarded([](WatchFollower& self) { self.OnBroken(); }); };
  client.read_delay = read_delay_;
  created_ = false;
  header_ = 0;
  next_ = told_;
  part_ = 0;
  call_ = process->services().Call("/etcdserverpb.Watch/Watch", {}, std::move(client));
  WatchRequest request;
  *request.mutable_create_request() = create_;
  request.mutable_create_request()->set_start_revision(told_);
  call_->SendToService(request.SerializeAsString());
}

void WatchFollower::OnBroken() {
  call_ = nullptr;
  ++connection_;
  ReconnectLater(TimeBetween(random_, 1, 200 * kMillisecond));
}

void WatchFollower::ReconnectLater(Time delay) {
  group_.events().After(delay, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->Connect();
  });
}

void WatchFollower::RequestProgress() {
  if (call_ == nullptr || !created_) return;
  WatchRequest request;
  request.mutable_progress_request();
  call_->SendToService(request.SerializeAsString());
}

void WatchFollower::Leave() {
  left_ = true;
  if (call_ != nullptr) call_->CancelByClient();
  call_ = nullptr;
}

bool WatchFollower::Wants(const ModelEvent& event) const {
  if (!range_.Contains(event.key)) return false;
  for (int filter : create_.filters()) {
    if (filter == (event.deleted ? WatchCreateRequest::NODELETE : WatchCreateRequest::NOPUT)) {
      return false;
    }
  }
  return true;
}

bool WatchFollower::FindNext() {
  for (; next_ <= group_.model().revision(); ++next_, part_ = 0) {
    const auto& events = group_.model().EventsAt(next_);
    while (part_ < events.size() && !Wants(events[part_])) ++part_;
    if (part_ < events.size()) return true;
  }
  return false;
}

std::string WatchFollower::Behind() {
  if (left_) return {};
  if (!created_) return Name() + " is not created";
  return FindNext() ? Name() + " has not seen all" : std::string();
}

void WatchFollower::OnMessage(const std::string& bytes) {
  WatchResponse response;
  if (!response.ParseFromString(bytes)) return group_.Fail(Name() + ": no WatchResponse");
  if (group_.trace()) group_.Say(Name() + ": " + response.ShortDebugString());
  std::string problem = Check(response);
  if (problem.empty()) return;
  group_.Fail(fmt::format("{}: {} in {{{}}}", Name(), problem, response.ShortDebugString()));
}

std::string WatchFollower::Check(const WatchResponse& response) {
  int64_t header = response.header().revision();
  group_.Trace(static_cast<uint64_t>(header));
  std::string problem = group_.checks().Saw(header);
  if (!problem.empty()) return problem;
  // One that tells of a compaction names revision 0, as etcd's does.
  if (response.compact_revision() == 0 && header < header_) return "the header went back";
  header_ = std::max(header_, header);
  if (response.created()) {
    created_ = true;
    if (told_ == 0) next_ = told_ = header + 1;
    return response.canceled() ? "refused" : "";
  }
  if (!created_) return "an answer before it was created";
  if (response.canceled()) return CheckCanceled(response);
  if (response.events_size() > 0) return CheckEvents(response);
  // Progress: nothing up to there is still to come.
  if (FindNext() && next_ <= header) return "progress overtakes an event";
  told_ = std::max(told_, header + 1);
  if (next_ < told_) part_ = 0;
  next_ = std::max(next_, told_);
  return {};
}

std::string WatchFollower::CheckCanceled(const WatchResponse& response) {
  int64_t compacted = response.compact_revision();
  if (compacted == 0) return "cancelled without a reason";
  if (compacted > group_.model().compacted()) return "cancelled for a compaction nobody made";
  if (told_ >= compacted) return "cancelled, but nothing it needs is compacted";
  told_ = compacted;
  call_->CancelByClient();
  OnBroken();
  return {};
}

std::string WatchFollower::CheckEvents(const WatchResponse& response) {
  for (const mvccpb::Event& event : response.events()) {
    std::string problem = CheckEvent(event);
    if (!problem.empty()) return problem;
    ++group_.counts().events_seen;
  }
  int64_t last = response.events().rbegin()->kv().mod_revision();
  if (response.header().revision() < last && !response.fragment()) return "the header is too old";
  if (!response.fragment() && FindNext() && next_ == last) return "a revision is split";
  told_ = std::max(told_, response.fragment() ? last : last + 1);
  return {};
}

std::string WatchFollower::CheckEvent(const mvccpb::Event& event) {
  if (!FindNext()) return "an event that nobody made";
  const ModelEvent& expected = group_.model().EventsAt(next_)[part_];
  bool deleted = event.type() == mvccpb::Event::DELETE;
  bool same = event.kv().mod_revision() == next_ && event.kv().key() == expected.key &&
              deleted == expected.deleted;
  if (!same) {
    return fmt::format("expected {} of {} at {}, got {{{}}}", expected.deleted ? "delete" : "put",
                       expected.key, next_, event.ShortDebugString());
  }
  if (!deleted) {
    auto kv = group_.model().Get(expected.key, next_);
    if (kv->SerializeAsString() != event.kv().SerializeAsString()) return "a wrong value";
  }
  std::string problem = CheckPrevious(event);
  ++part_;
  return problem;
}

std::string WatchFollower::CheckPrevious(const mvccpb::Event& event) const {
  auto before = group_.model().Get(event.kv().key(), next_ - 1);
  if (event.has_prev_kv()) {
    if (!create_.prev_kv()) return "a previous value nobody asked for";
    bool same = before && before->SerializeAsString() == event.prev_kv().SerializeAsString();
    return same ? "" : "a wrong previous value";
  }
  bool missing = create_.prev_kv() && before && group_.model().compacted() < next_;
  return missing ? "no previous value, though it is not compacted" : "";
}

}  // namespace store::sim
