// SPDX-License-Identifier: Apache-2.0
#include "store/api/keep_alive_call.h"

#include "store/api/errors.h"

#include <utility>

namespace store::api {

void KeepAliveCall::Start() {
  auto self = shared_from_this();
  stream_.OnMessage([self](etcdserverpb::LeaseKeepAliveRequest&& request) {
    self->OnRequest(LeaseId(request.id()));
  });
  stream_.OnHalfClose([self] {
    self->half_closed_ = true;
    self->Write();
  });
  stream_.OnCancel([self] { self->DropAll(); });
  stream_.OnStop([self] { self->Stop(); });
  if (!WantsLeader(stream_.info())) return;
  // The monitor outlives the stream, so it must not keep it.
  monitored_ = monitor_.Add([weak = weak_from_this()] {
    if (auto call = weak.lock()) call->Finish(StatusOf(ErrorCode::kNoLeader));
  });
}

void KeepAliveCall::OnRequest(LeaseId lease) {
  if (stopping_) return;
  slots_.push_back({lease, context_.state.mvcc().current(), {}, std::nullopt});
  ++unanswered_;
  Ask();
}

void KeepAliveCall::Ask() {
  const uint64_t number = first_ + slots_.size() - 1;
  PendingCalls& pending = context_.At(stream_.info().loop);
  PendingCalls::LeaseDone done = [self = shared_from_this(), number](replica::LeaseAnswer answer) {
    self->OnAnswer(number, std::move(answer));
  };
  Slot& slot = slots_.back();
  slot.handle = pending.TryLease(replica::LeaseRequest::Kind::kKeepAlive, slot.lease, done);
  if (slot.handle) {
    refused_since_.reset();
  } else {
    if (!refused_since_) refused_since_ = pending.executor().Now();
    pending.WhenRoom(*refused_since_, [weak = weak_from_this()](ErrorCode code) {
      if (auto self = weak.lock()) self->OnRoom(code);
    });
  }
  HoldInput();
}

void KeepAliveCall::OnRoom(ErrorCode code) {
  if (!refused_since_) return;
  if (code != ErrorCode::kOk) return Finish(StatusOf(code));
  Ask();
}

void KeepAliveCall::HoldInput() {
  stream_.HoldInput(refused_since_ || unanswered_ >= kUnansweredMax || slots_.size() >= kSlotsMax);
}

void KeepAliveCall::OnAnswer(uint64_t number, replica::LeaseAnswer answer) {
  if (number < first_ || number - first_ >= slots_.size()) return;
  Slot& slot = slots_[number - first_];
  slot.handle = {};
  slot.answer = std::move(answer);
  --unanswered_;
  Write();
}

void KeepAliveCall::Write() {
  while (!slots_.empty() && slots_.front().answer) {
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    if (!WriteOne(slot)) return;
  }
  HoldInput();
  if (!slots_.empty()) return;
  if (half_closed_) return Finish({});
  if (stopping_) Finish(StatusOf(ErrorCode::kStopped));
}

void KeepAliveCall::Stop() {
  stopping_ = true;
  if (std::exchange(refused_since_, std::nullopt)) {
    slots_.pop_back();
    --unanswered_;
  }
  Write();
}

bool KeepAliveCall::WriteOne(const Slot& slot) {
  bool unknown = slot.answer->error == ErrorCode::kLeaseNotFound;
  if (slot.answer->error != ErrorCode::kOk && !unknown) {
    Finish(StatusOf(slot.answer->error));
    return false;
  }
  etcdserverpb::LeaseKeepAliveResponse response;
  context_.header.Fill(slot.revision, response.mutable_header());
  response.set_id(slot.lease.value());
  response.set_ttl(unknown ? 0 : slot.answer->ttl_seconds);
  stream_.Write(response);
  return true;
}

void KeepAliveCall::Finish(rpc::RpcStatus status) {
  // The stream's callbacks are what holds this object.
  auto self = shared_from_this();
  DropAll();
  stream_.Finish(std::move(status));
}

void KeepAliveCall::DropAll() {
  auto self = shared_from_this();
  monitor_.Remove(monitored_);
  refused_since_.reset();
  unanswered_ = 0;
  first_ += slots_.size();
  for (const Slot& slot : std::exchange(slots_, {})) {
    context_.At(stream_.info().loop).Drop(slot.handle);
  }
}

}  // namespace store::api
