// SPDX-License-Identifier: Apache-2.0
// The channel (client half) against the server: both ends are ours, so every window and limit can
// be chosen.
#include "store/rpc/channel.h"

#include "tests/interop/echo_server.h"
#include "tests/interop/test_channel.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace store::rpc::test {
namespace {

using namespace std::chrono_literals;

TEST(Channel, UnaryOfEverySize) {
  EchoServer server;
  TestChannel client(server.address());
  for (size_t size : {size_t{0}, size_t{1}, size_t{16'384}, size_t{2'000'000}}) {
    auto answer = client.Unary("Unary", std::string(size, 'a'));
    ASSERT_TRUE(answer.status.ok()) << answer.status.message;
    EXPECT_EQ(answer.text.size(), size);
  }
  EXPECT_EQ(client.Unary("Fail", "why").status.message, "why");
}

TEST(Channel, WindowsOfOneByteBothWays) {
  ServerOptions options;
  options.limits.stream_window = 1;
  options.limits.connection_window = 1;
  EchoServer server(options);
  Limits limits;
  limits.stream_window = 1;
  limits.connection_window = 1;
  TestChannel client(server.address(), limits);
  auto answer = client.Unary("Unary", std::string(3000, 'b'));
  ASSERT_TRUE(answer.status.ok()) << answer.status.message;
  EXPECT_EQ(answer.text, std::string(3000, 'b'));
}

TEST(Channel, TheServersDeadlineHasGosText) {
  EchoServer server;
  TestChannel client(server.address());
  // Metadata carries the deadline, so that only the server enforces it.
  CallOptions options;
  options.metadata.Add("grpc-timeout", "50m");
  auto answer = client.Unary("Hang", "x", std::move(options));
  EXPECT_EQ(answer.status.code, GrpcCode::kDeadlineExceeded);
  EXPECT_EQ(answer.status.message, "context deadline exceeded");
  EXPECT_EQ(server.counters().cancelled, 1);
}

TEST(Channel, ItsOwnDeadlineAndCancel) {
  EchoServer server;
  TestChannel client(server.address());
  CallOptions options;
  options.timeout = 50ms;
  EXPECT_EQ(client.Unary("Hang", "x", std::move(options)).status.code, GrpcCode::kDeadlineExceeded);
  EXPECT_TRUE(server.WaitFor([&] { return server.counters().cancelled == 1; }));

  std::promise<RpcStatus> finished;
  client.Run([&] {
    ClientCallPtr call = client.channel().Start(kService + "Deaf");
    call->OnFinish([&](const RpcStatus& status) { finished.set_value(status); });
    call->Send(Body("x"));
    client.loop().After(20ms, [call] { call->Cancel(); });
  });
  EXPECT_EQ(finished.get_future().get().code, GrpcCode::kCancelled);
  EXPECT_TRUE(server.WaitFor([&] { return server.counters().cancelled == 2; }));
}

TEST(Channel, MalformedHeadersAreRefusedAsHttp) {
  EchoServer server;
  TestChannel client(server.address());
  CallOptions options;
  options.metadata.Add("grpc-timeout", "soon");
  auto answer = client.Unary("Unary", "x", std::move(options));
  EXPECT_EQ(answer.status.code, GrpcCode::kInternal);
  EXPECT_EQ(answer.status.message, "malformed grpc-timeout: \"soon\"");
}

TEST(Channel, TenThousandStreamsAtOnce) {
  constexpr int kStreams = 10'000;
  EchoServer server;
  TestChannel client(server.address());
  ASSERT_TRUE(client.WaitFor(Channel::State::kReady));
  std::vector<ClientCallPtr> calls;
  std::atomic<int> answered = 0;
  std::atomic<int> finished = 0;
  client.Run([&] {
    for (int i = 0; i < kStreams; ++i) {
      ClientCallPtr call = client.channel().Start(kService + "Bidi");
      call->OnMessage([&answered](const SharedBytes&) { ++answered; });
      call->OnFinish([&finished](const RpcStatus& status) { finished += status.ok() ? 1 : 0; });
      call->Send(Body("hello"));
      calls.push_back(std::move(call));
    }
  });
  EXPECT_TRUE(server.WaitFor([&] { return answered == kStreams; })) << answered;
  EXPECT_EQ(server.server().stats().streams_open, kStreams);
  client.Run([&] {
    for (auto& call : calls) {
      call->Send(Body("again"));
      call->CloseSend();
    }
  });
  EXPECT_TRUE(server.WaitFor([&] { return finished == kStreams; })) << finished;
  EXPECT_EQ(answered, 2 * kStreams);
  EXPECT_TRUE(server.WaitFor([&] { return server.server().stats().streams_open == 0; }));
  client.Run([&] { calls.clear(); });
}

// More than a window of them: it opens as they are answered. The end of the client's half waits.
TEST(Channel, AHandlerThatHoldsItsInputGetsMessagesOneByOne) {
  ServerOptions options;
  options.limits.stream_window = 64 << 10;
  EchoServer server(options);
  TestChannel client(server.address());
  constexpr int kMessages = 3000;
  std::vector<std::string> answers;
  std::atomic<bool> finished = false;
  RpcStatus ended;
  ClientCallPtr call;
  client.Run([&] {
    call = client.channel().Start(kService + "OneByOne");
    call->OnMessage([&answers](const SharedBytes& bytes) { answers.push_back(Text(bytes)); });
    call->OnFinish([&](const RpcStatus& status) {
      ended = status;
      finished = true;
    });
    for (int i = 0; i < kMessages; ++i) call->Send(Body(fmt::format("{:0100}", i)));
    call->CloseSend();
  });
  ASSERT_TRUE(server.WaitFor([&] { return finished.load(); }));
  EXPECT_TRUE(ended.ok()) << ended.message;
  ASSERT_EQ(answers.size(), static_cast<size_t>(kMessages));
  for (int i = 0; i < kMessages; ++i) EXPECT_EQ(answers[i], fmt::format("{:0100}", i));
  client.Run([&] { call.reset(); });
}

TEST(Channel, AStreamLimitMakesLaterCallsWait) {
  ServerOptions options;
  options.limits.streams_max = 3;
  EchoServer server(options);
  TestChannel client(server.address());
  ASSERT_TRUE(client.WaitFor(Channel::State::kReady));
  std::atomic<int> done = 0;
  client.Run([&] {
    for (int i = 0; i < 20; ++i) {
      client.channel().Unary(
          kService + "Later", Body("x"), {},
          [&](const RpcStatus& status, const SharedBytes&) { done += status.ok() ? 1 : 0; });
    }
  });
  EXPECT_TRUE(server.WaitFor([&] { return done == 20; })) << done;
}

TEST(Channel, FailsCallsWhileAwayAndComesBack) {
  auto server = std::make_unique<EchoServer>();
  std::string address = server->address();
  TestChannel client(address);
  ASSERT_TRUE(client.Unary("Unary", "x").status.ok());
  server.reset();
  ASSERT_TRUE(client.WaitFor(Channel::State::kBackoff));
  EXPECT_EQ(client.Unary("Unary", "x").status.code, GrpcCode::kUnavailable);

  SystemClock clock;
  EventLoop loop(LoopId(0), clock);
  loop.Start();
  MethodTable methods;
  HttpRouter router;
  EchoCounters counters;
  RegisterEcho(&methods, &counters);
  Server again(methods, router, {&loop});
  ASSERT_TRUE(again.Listen(address).has_value());
  again.Start();
  ASSERT_TRUE(client.WaitFor(Channel::State::kReady));
  EXPECT_TRUE(client.Unary("Unary", "x").status.ok());
}

TEST(Channel, AServerThatNeverAnswersTheConnectIsGivenUp) {
  // Accepts in the kernel, says nothing.
  auto listener = Listener::Open("127.0.0.1:0");
  ASSERT_TRUE(listener.has_value());
  SystemClock clock;
  EventLoop loop(LoopId(0), clock);
  loop.Start();
  std::promise<std::string> failed;
  std::unique_ptr<Channel> channel;
  loop.Post([&] {
    ChannelOptions options;
    options.address = (*listener)->address().ToString();
    options.connect_timeout = 50ms;
    channel = std::make_unique<Channel>(loop, options);
    channel->OnStateChange([&](Channel::State state) {
      if (state == Channel::State::kBackoff) {
        failed.set_value(channel->last_error());
        channel->OnStateChange([](Channel::State) {});
      }
    });
    channel->Connect();
  });
  EXPECT_NE(failed.get_future().get().find("timed out"), std::string::npos);
  std::promise<void> gone;
  loop.Post([&] {
    channel.reset();
    gone.set_value();
  });
  gone.get_future().wait();
}

// A name service that is away. The thread that asks it outlives the channel and the test's loop.
struct SlowNames {
  std::atomic<int> asked = 0;
  std::atomic<int> answered = 0;
  std::promise<void> back;
  std::shared_future<void> is_back = back.get_future().share();
};
SlowNames slow_names;

Result<SocketAddress> AskSlowNames(std::string_view) {
  ++slow_names.asked;
  slow_names.is_back.wait();
  ++slow_names.answered;
  return Fail(ErrorCode::kUnavailable, "no such host");
}

TEST(Channel, ANameServiceThatIsAwayHoldsUpNobody) {
  SystemClock clock;
  {
    EventLoop loop(LoopId(0), clock);
    loop.Start();
    std::promise<void> failed_twice;
    int failures = 0;
    std::unique_ptr<Channel> channel;
    loop.Post([&] {
      ChannelOptions options;
      options.address = "member.example:2380";
      options.connect_timeout = options.backoff_min = options.backoff_max = 1ms;
      options.resolve = &AskSlowNames;
      channel = std::make_unique<Channel>(loop, options);
      channel->OnStateChange([&](Channel::State state) {
        if (state == Channel::State::kBackoff && ++failures == 2) failed_twice.set_value();
      });
      channel->Connect();
    });
    EXPECT_EQ(failed_twice.get_future().wait_for(60s), std::future_status::ready);
    std::promise<void> gone;
    loop.Post([&] {
      channel.reset();
      gone.set_value();
    });
    EXPECT_EQ(gone.get_future().wait_for(60s), std::future_status::ready);
    while (slow_names.asked == 0) std::this_thread::yield();
    EXPECT_EQ(slow_names.asked, 1) << "one question at a time";
    if (testing::Test::HasFailure()) slow_names.back.set_value();
  }
  if (!testing::Test::HasFailure()) slow_names.back.set_value();
  while (slow_names.answered < slow_names.asked) std::this_thread::yield();
}

TEST(Server, APortInUseIsOneClearError) {
  EchoServer server;
  auto second = Listener::Open(server.address());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kBusy);
  EXPECT_NE(second.error().message().find(server.address() + ": address already in use"),
            std::string::npos)
      << second.error().message();
}

TEST(Server, ServesUnixSocketsAndRemovesThem) {
  std::string path = ::testing::TempDir() + "rpc_test.sock";
  {
    SystemClock clock;
    EventLoop loop(LoopId(0), clock);
    loop.Start();
    MethodTable methods;
    HttpRouter router;
    EchoCounters counters;
    RegisterEcho(&methods, &counters);
    Server server(methods, router, {&loop});
    ASSERT_TRUE(server.Listen("unix:" + path).has_value());
    server.Start();
    TestChannel client("unix:" + path);
    EXPECT_TRUE(client.Unary("Unary", "x").status.ok());
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace store::rpc::test
