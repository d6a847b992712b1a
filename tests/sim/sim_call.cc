// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_call.h"

namespace store::sim {

bool SimCall::Send(rpc::MessageBody message) {
  if (done_) return true;
  std::string bytes;
  for (const SharedBytes& part : message.parts()) bytes.append(part.view());
  if (client_.read_delay == 0) {
    if (client_.on_message) client_.on_message(std::move(bytes));
    return true;
  }
  unread_bytes_ += bytes.size();
  unread_.push_back(std::move(bytes));
  ScheduleRead();
  blocked_ = unread_bytes_ > kSendLimit;
  return !blocked_;
}

void SimCall::Finish(rpc::RpcStatus status) {
  if (done_) return;
  auto self = shared_from_this();
  End();
  if (unread_.empty()) {
    if (client_.on_finish) client_.on_finish(status);
  } else {
    ended_ = std::make_unique<rpc::RpcStatus>(std::move(status));
  }
}

void SimCall::ScheduleRead() {
  if (std::exchange(reading_, true)) return;
  host_.Later(host_.Draw(client_.read_delay), [self = shared_from_this()] { self->ReadNext(); });
}

void SimCall::ReadNext() {
  reading_ = false;
  if (severed_ || unread_.empty()) return;
  std::string bytes = std::move(unread_.front());
  unread_.pop_front();
  unread_bytes_ -= bytes.size();
  if (client_.on_message) client_.on_message(std::move(bytes));
  if (!unread_.empty()) ScheduleRead();
  if (unread_.empty() && ended_ != nullptr && client_.on_finish) client_.on_finish(*ended_);
  if (!blocked_ || unread_bytes_ > kSendLimit / 2) return;
  blocked_ = false;
  loop_.Post([self = shared_from_this()] {
    if (self->on_drained_) self->on_drained_();
  });
}

void SimCall::SendToService(std::string bytes) {
  loop_.Post([self = shared_from_this(), bytes = std::move(bytes)]() mutable {
    self->input_.Arrive(std::move(bytes));
  });
}

void SimCall::HalfClose() {
  loop_.Post([self = shared_from_this()] { self->input_.HalfClose(); });
}

void SimCall::CancelByClient() {
  severed_ = true;
  client_ = {};
  loop_.Post([self = shared_from_this()] {
    Action action = std::exchange(self->on_cancel_, nullptr);
    self->End();
    if (action) action();
  });
}

void SimCall::Sever() {
  severed_ = true;
  auto self = shared_from_this();
  Client client = std::exchange(client_, {});
  End();
  if (client.on_severed) client.on_severed();
}

void SimCall::End() {
  done_ = true;
  // They may hold the last handle of something that calls back.
  input_.End();
  auto cancel = std::exchange(on_cancel_, nullptr);
  auto drained = std::exchange(on_drained_, nullptr);
}

}  // namespace store::sim
