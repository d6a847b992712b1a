// SPDX-License-Identifier: Apache-2.0
// EchoServer: the echo service on a free loopback port inside the test process, with its loops. One
// thread makes and destroys it.
#pragma once

#include "store/base/check.h"
#include "store/rpc/server.h"
#include "tests/interop/echo_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace store::rpc::test {

class EchoServer {
 public:
  explicit EchoServer(ServerOptions options = {}, int loops = 1, Interceptor interceptor = {}) {
    std::vector<EventLoop*> pointers;
    for (int i = 0; i < loops; ++i) {
      loops_.push_back(std::make_unique<EventLoop>(LoopId(static_cast<uint32_t>(i)), clock_));
      pointers.push_back(loops_.back().get());
      loops_.back()->Start();
    }
    RegisterEcho(&methods_, &counters_);
    RegisterEchoHttp(&router_);
    if (interceptor) methods_.SetInterceptor(std::move(interceptor));
    server_ = std::make_unique<Server>(methods_, router_, pointers, options);
    Status listening = server_->Listen("127.0.0.1:0");
    CHECK(listening.has_value(), "{}", listening.error().ToString());
    server_->Start();
  }
  ~EchoServer() { server_.reset(); }

  std::string address() const { return server_->addresses().front().ToString(); }
  Server& server() { return *server_; }
  EchoCounters& counters() { return counters_; }
  const MethodTable& methods() const { return methods_; }
  EventLoop& loop() { return *loops_.front(); }
  // Waits until `condition` holds; false after ten seconds.
  template <class F>
  bool WaitFor(F condition) {
    TimePoint deadline = clock_.Now() + std::chrono::seconds(10);
    while (!condition()) {
      if (clock_.Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  SystemClock clock_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  MethodTable methods_;
  HttpRouter router_;
  EchoCounters counters_;
  std::unique_ptr<Server> server_;
};

}  // namespace store::rpc::test
