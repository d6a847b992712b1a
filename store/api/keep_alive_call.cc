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
  uint64_t number = first_ + slots_.size();
  slots_.push_back({lease, context_.state.mvcc().current(), {}, std::nullopt});
  CallHandle handle = context_.At(stream_.info().loop)
                          .Lease(replica::LeaseRequest::Kind::kKeepAlive, lease,
                                 [self = shared_from_this(), number](replica::LeaseAnswer answer) {
                                   self->OnAnswer(number, std::move(answer));
                                 });
  if (handle && number >= first_) slots_[number - first_].handle = handle;
}

void KeepAliveCall::OnAnswer(uint64_t number, replica::LeaseAnswer answer) {
  if (number < first_ || number - first_ >= slots_.size()) return;
  Slot& slot = slots_[number - first_];
  slot.handle = {};
  slot.answer = std::move(answer);
  Write();
}

void KeepAliveCall::Write() {
  while (!slots_.empty() && slots_.front().answer) {
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    if (!WriteOne(slot)) return;
  }
  if (!slots_.empty()) return;
  if (half_closed_) return Finish({});
  if (stopping_) Finish(StatusOf(ErrorCode::kStopped));
}

void KeepAliveCall::Stop() {
  stopping_ = true;
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
  first_ += slots_.size();
  for (const Slot& slot : std::exchange(slots_, {})) {
    context_.At(stream_.info().loop).Drop(slot.handle);
  }
}

}  // namespace store::api
