// SPDX-License-Identifier: Apache-2.0
// The end of a server: what it asked of its loops must be over when Stop returns.
#include "store/rpc/server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace store::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// More than the system takes for a client that does not read.
constexpr size_t kLargeBytes = 32 << 20;

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
      held_->OnCancel([this] { cancelled_.set_value(); });
      asked_.set_value();
    });
    router_.Add("GET", "/large", [this](const HttpExchangePtr& exchange) {
      exchange->Reply(200, "text/plain", SharedBytes::Of(std::string(kLargeBytes, 'x')));
      asked_.set_value();
    });
    front_.Start();
    other_.Start();
  }
  ~ServerTest() override {
    front_.Stop();
    other_.Stop();
  }
  int Ask(const SocketAddress& address, std::string_view path) {
    asked_ = {};
    int fd = ConnectTo(address);
    const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: here\r\n\r\n", path);
    EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    asked_.get_future().wait();
    return fd;
  }
  // A request whose answer never comes: only the end of the grace closes its connection.
  int AskForHeld(const SocketAddress& address) { return Ask(address, "/held"); }
  std::unique_ptr<Server> Started(Duration grace, Duration unread) {
    ServerOptions options;
    options.stop_grace = grace;
    options.unread_grace = unread;
    auto server =
        std::make_unique<Server>(methods_, router_, std::vector{&front_, &other_}, options);
    EXPECT_TRUE(server->Listen("127.0.0.1:0"));
    server->Start();
    return server;
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
  std::promise<void> cancelled_;
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

TEST_F(ServerTest, StopDoesNotWaitForAClientThatDoesNotRead) {
  std::unique_ptr<Server> server = Started(seconds(300), milliseconds(100));
  const int fd = Ask(server->addresses().front(), "/large");
  const TimePoint began = clock_.Now();
  server->Stop();
  EXPECT_LT(clock_.Now() - began, seconds(150));
  close(fd);
}

TEST_F(ServerTest, StopWaitsForAClientThatReads) {
  std::unique_ptr<Server> server = Started(seconds(300), seconds(10));
  const int fd = Ask(server->addresses().front(), "/large");
  std::future<void> stopped = std::async(std::launch::async, [&] { server->Stop(); });
  std::string buffer(64 << 10, '\0');
  size_t received = 0;
  while (true) {
    const ssize_t count = recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    received += static_cast<size_t>(count);
  }
  close(fd);
  stopped.wait();
  EXPECT_GT(received, kLargeBytes);
}

// Also where it was told before: at the end of the client's input its answer was still to come.
TEST_F(ServerTest, AClientThatIsGoneCancelsItsExchange) {
  std::unique_ptr<Server> server = Started(seconds(1), seconds(1));
  const int fd = AskForHeld(server->addresses().front());
  const linger at_once{1, 0};
  ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  close(fd);  // a reset
  EXPECT_EQ(cancelled_.get_future().wait_for(seconds(60)), std::future_status::ready);
  server->Stop();
}

}  // namespace
}  // namespace store::rpc
