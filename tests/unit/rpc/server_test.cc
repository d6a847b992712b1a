// SPDX-License-Identifier: Apache-2.0
// The end of a server: what it asked of its loops must be over when Stop returns.
#include "store/rpc/server.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace store::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Connected, or negative.
int ConnectTo(const SocketAddress& address) {
  int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, address.get(), address.size()) == 0) return fd;
  close(fd);
  return -1;
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    router_.Add("GET", "/held", [this](HttpExchangePtr exchange) {
      held_ = std::move(exchange);
      asked_.set_value();
    });
    front_.Start();
    other_.Start();
  }
  ~ServerTest() override {
    front_.Stop();
    other_.Stop();
  }
  // A request whose answer never comes: only the end of the grace closes its connection.
  int AskForHeld(const SocketAddress& address) {
    asked_ = {};
    int fd = ConnectTo(address);
    constexpr std::string_view kRequest = "GET /held HTTP/1.1\r\nHost: here\r\n\r\n";
    EXPECT_EQ(send(fd, kRequest.data(), kRequest.size(), 0), static_cast<ssize_t>(kRequest.size()));
    asked_.get_future().wait();
    return fd;
  }
  static void AwaitEnd(int fd) {
    char byte = 0;
    EXPECT_LE(recv(fd, &byte, 1, 0), 0);
    close(fd);
  }

  // Whether Stop returns while the order to close waits in a loop; nothing if the machine was too
  // slow to post ahead of that order within the grace.
  std::optional<bool> StopsEarly(Duration grace) {
    ServerOptions options;
    options.stop_grace = grace;
    Server server(methods_, router_, {&front_, &other_}, options);
    EXPECT_TRUE(server.Listen("127.0.0.1:0"));
    server.Start();
    const SocketAddress address = server.addresses().front();
    const int held = AskForHeld(address);
    // Loops take connections in turn: one that goes at once leaves the other loop empty.
    close(ConnectTo(address));
    while (server.stats().connections_accepted.load() < 2 ||
           server.stats().connections_open.load() > 1) {
      std::this_thread::yield();
    }
    const int idle = ConnectTo(address);
    std::promise<void> slow;
    other_.Post([&] { slow.get_future().wait(); });

    const TimePoint began = clock_.Now();
    std::future<void> stopped = std::async(std::launch::async, [&] { server.Stop(); });
    AwaitEnd(idle);  // drained
    // Behind the drain, before the order.
    std::promise<bool> early;
    other_.Post(
        [&] { early.set_value(stopped.wait_for(milliseconds(200)) == std::future_status::ready); });
    const bool in_time = clock_.Now() < began + options.stop_grace;
    AwaitEnd(held);  // the front loop has its order
    slow.set_value();
    const bool was_early = early.get_future().get();
    stopped.wait();
    return in_time ? std::optional(was_early) : std::nullopt;
  }

  SystemClock clock_;
  MethodTable methods_;
  HttpRouter router_;
  HttpExchangePtr held_;
  std::promise<void> asked_;
  EventLoop front_{LoopId(0), clock_, "front"};
  EventLoop other_{LoopId(1), clock_, "other"};
};

// The last connection of a slow loop may go between the end of the grace and the order to close
// what is left: that order must not come to a server that is gone.
TEST_F(ServerTest, StopWaitsForEveryOrderToClose) {
  // Longer when the machine was too slow to be there before the end of the grace.
  std::optional<bool> early;
  for (int grace = 1; !early && grace <= 16; grace *= 2) early = StopsEarly(seconds(grace));
  ASSERT_TRUE(early) << "16 s were not enough to post ahead of the order";
  EXPECT_FALSE(*early);
}

}  // namespace
}  // namespace store::rpc
