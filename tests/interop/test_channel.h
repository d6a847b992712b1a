// SPDX-License-Identifier: Apache-2.0
// TestChannel: our own channel to an echo service, on a loop of its own and driven by the test's
// thread, which waits for each answer.
#pragma once

#include "store/rpc/channel.h"

#include <google/protobuf/wrappers.pb.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

namespace store::rpc::test {

inline const std::string kService = "/sluice.test.Echo/";

inline MessageBody Body(std::string bytes) {
  google::protobuf::BytesValue value;
  value.set_value(std::move(bytes));
  return Encode(value);
}

inline std::string Text(const SharedBytes& bytes) {
  google::protobuf::BytesValue value;
  value.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return value.value();
}

// A channel on a loop of its own, driven from the test thread.
class TestChannel {
 public:
  explicit TestChannel(const std::string& address, Limits limits = {}) {
    loop_.Start();
    ChannelOptions options;
    options.address = address;
    options.limits = limits;
    options.backoff_min = std::chrono::milliseconds(5);
    options.backoff_max = std::chrono::milliseconds(20);
    Run([&] {
      channel_ = std::make_unique<Channel>(loop_, options);
      channel_->Connect();
    });
  }
  ~TestChannel() {
    Run([&] { channel_.reset(); });
  }

  void Run(Action action) {
    std::promise<void> done;
    loop_.Post([&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  struct Answer {
    RpcStatus status;
    std::string text;
  };
  Answer Unary(const std::string& method, std::string request, CallOptions options = {}) {
    auto answer = std::make_shared<std::promise<Answer>>();
    std::future<Answer> future = answer->get_future();
    loop_.Post([&, answer] {
      channel_->Unary(kService + method, Body(std::move(request)), std::move(options),
                      [answer](const RpcStatus& status, const SharedBytes& bytes) {
                        answer->set_value({status, Text(bytes)});
                      });
    });
    return future.get();
  }
  bool WaitFor(Channel::State state) {
    TimePoint deadline = clock_.Now() + std::chrono::seconds(10);
    Channel::State now = Channel::State::kIdle;
    while (now != state && clock_.Now() < deadline) {
      Run([&] { now = channel_->state(); });
    }
    return now == state;
  }
  EventLoop& loop() { return loop_; }
  Channel& channel() { return *channel_; }

 private:
  SystemClock clock_;
  EventLoop loop_{LoopId(9), clock_, "client"};
  std::unique_ptr<Channel> channel_;
};

}  // namespace store::rpc::test
