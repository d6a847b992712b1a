// SPDX-License-Identifier: Apache-2.0
// HeldInput: what the service side of a call that a test plays does with its input, as the
// transport would: messages one at a time and in order, none while the handler holds them back, the
// half-close behind them, nothing once the call is over. One thread.
#pragma once

#include "store/base/bytes.h"
#include "store/base/executor.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <deque>
#include <string>
#include <utility>

namespace store::rpc::test {

class HeldInput {
 public:
  // The handler's side.
  void OnMessage(absl::AnyInvocable<void(SharedBytes)> action) {
    if (!over_) on_message_ = std::move(action);
  }
  void OnHalfClose(Action action) {
    if (!over_) on_half_close_ = std::move(action);
  }
  // True: let go. Deliver is due then, but not from inside the handler's call.
  bool Hold(bool held) { return std::exchange(held_, held) && !held; }

  // The client's side.
  void Arrive(std::string bytes) {
    waiting_.push_back(std::move(bytes));
    Deliver();
  }
  void HalfClose() {
    half_closed_ = true;
    Deliver();
  }
  void Deliver() {
    while (!over_ && !held_ && !waiting_.empty()) {
      std::string bytes = std::move(waiting_.front());
      waiting_.pop_front();
      Pass(std::move(bytes));
    }
    if (!half_closed_ || held_ || !waiting_.empty() || !on_half_close_) return;
    std::exchange(on_half_close_, nullptr)();
  }
  void End() {
    over_ = true;
    // They may hold the last handle of something that calls back.
    auto message = std::exchange(on_message_, nullptr);
    auto half_close = std::exchange(on_half_close_, nullptr);
  }
  size_t waiting() const { return waiting_.size(); }

 private:
  // The action may end the call or set another one. Without one the message is lost.
  void Pass(std::string bytes) {
    auto action = std::exchange(on_message_, nullptr);
    if (!action) return;
    action(SharedBytes::Of(std::move(bytes)));
    if (!over_ && !on_message_) on_message_ = std::move(action);
  }

  absl::AnyInvocable<void(SharedBytes)> on_message_;
  Action on_half_close_;
  std::deque<std::string> waiting_;
  bool held_ = false;
  bool half_closed_ = false;
  bool over_ = false;
};

}  // namespace store::rpc::test
