// SPDX-License-Identifier: Apache-2.0
// The server against the gRPC C++ client, through the same calls generated stubs make.
#include "tests/interop/echo_server.h"

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/sync_stream.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace store::rpc::test {
namespace {

using google::protobuf::BytesValue;
using grpc::internal::RpcMethod;

BytesValue Value(std::string bytes) {
  BytesValue value;
  value.set_value(std::move(bytes));
  return value;
}

class Client {
 public:
  explicit Client(const std::string& address, grpc::ChannelArguments arguments = {})
      : channel_(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                           WithOwnPool(std::move(arguments)))) {}

  grpc::Status Unary(const std::string& method, const BytesValue& request, BytesValue* response,
                     grpc::ClientContext* context) {
    std::string path = "/sluice.test.Echo/" + method;
    return UnaryAt(path, request, response, context);
  }
  grpc::Status UnaryAt(const std::string& path, const BytesValue& request, BytesValue* response,
                       grpc::ClientContext* context) {
    RpcMethod rpc(path.c_str(), RpcMethod::NORMAL_RPC, channel_);
    return grpc::internal::BlockingUnaryCall<BytesValue, BytesValue>(channel_.get(), rpc, context,
                                                                     request, response);
  }
  grpc::Status Unary(const std::string& method, std::string request, std::string* response) {
    grpc::ClientContext context;
    BytesValue answer;
    grpc::Status status = Unary(method, Value(std::move(request)), &answer, &context);
    *response = answer.value();
    return status;
  }
  using BidiStream = grpc::ClientReaderWriter<BytesValue, BytesValue>;
  std::unique_ptr<BidiStream> Stream(const std::string& method, grpc::ClientContext* context) {
    paths_.push_back(std::make_unique<std::string>("/sluice.test.Echo/" + method));
    RpcMethod rpc(paths_.back()->c_str(), RpcMethod::BIDI_STREAMING, channel_);
    return std::unique_ptr<BidiStream>(
        grpc::internal::ClientReaderWriterFactory<BytesValue, BytesValue>::Create(channel_.get(),
                                                                                  rpc, context));
  }
  grpc::Channel& channel() { return *channel_; }

 private:
  // Else every client of the process shares one connection and its keepalive state.
  static grpc::ChannelArguments WithOwnPool(grpc::ChannelArguments arguments) {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    return arguments;
  }
  std::shared_ptr<grpc::Channel> channel_;
  std::vector<std::unique_ptr<std::string>> paths_;
};

std::chrono::system_clock::time_point In(std::chrono::milliseconds delay) {
  return std::chrono::system_clock::now() + delay;
}

TEST(GrpcClient, UnaryEmptySmallAndLarge) {
  EchoServer server;
  Client client(server.address());
  for (size_t size :
       {size_t{0}, size_t{1}, size_t{100}, size_t{16'384}, size_t{65'536}, size_t{2'000'000}}) {
    std::string request(size, 'q');
    std::string answer;
    grpc::Status status = client.Unary("Unary", request, &answer);
    ASSERT_TRUE(status.ok()) << size << ": " << status.error_message();
    EXPECT_TRUE(answer == request) << size;
  }
}

TEST(GrpcClient, AnswersThatComeLater) {
  EchoServer server({}, 2);
  Client client(server.address());
  std::string answer;
  ASSERT_TRUE(client.Unary("Later", "x", &answer).ok());
  EXPECT_EQ(answer, "x");
}

TEST(GrpcClient, StatusTextsArriveByteForByte) {
  EchoServer server;
  Client client(server.address());
  for (std::string text :
       {"etcdserver: no leader", "with % and \n newline", "\xc3\xa4\xe2\x82\xac", ""}) {
    std::string answer;
    grpc::Status status = client.Unary("Fail", text, &answer);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(status.error_message(), text);
  }
}

TEST(GrpcClient, UnknownServiceAndMethodHaveGrpcGosTexts) {
  EchoServer server;
  Client client(server.address());
  BytesValue answer;
  grpc::ClientContext first;
  grpc::Status status = client.Unary("Nope", Value("x"), &answer, &first);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown method Nope for service sluice.test.Echo");
  grpc::ClientContext second;
  status = client.UnaryAt("/no.Such/Thing", Value("x"), &answer, &second);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown service no.Such");
}

TEST(GrpcClient, ATooLargeMessageIsRefusedWithItsSize) {
  ServerOptions options;
  options.limits.message_bytes_max = 1000;
  EchoServer server(options);
  Client client(server.address());
  std::string answer;
  // 2 bytes of length and 1 of tag around the value.
  grpc::Status status = client.Unary("Unary", std::string(5'000'000, 'x'), &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "grpc: received message larger than max (5000005 vs. 1000)");
  EXPECT_TRUE(client.Unary("Unary", "small", &answer).ok()) << "the connection lives on";
}

TEST(GrpcClient, CompressionIsRefused) {
  EchoServer server;
  Client client(server.address());
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  BytesValue answer;
  grpc::Status status = client.Unary("Unary", Value(std::string(10'000, 'x')), &answer, &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(),
            "grpc: Decompressor is not installed for grpc-encoding \"gzip\"");
}

TEST(GrpcClient, TheServerEnforcesTheDeadlineToo) {
  EchoServer server;
  Client client(server.address());
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::milliseconds(100)));
  BytesValue answer;
  grpc::Status status = client.Unary("Hang", Value("x"), &answer, &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(server.WaitFor([&] { return server.counters().cancelled == 1; }));
}

TEST(GrpcClient, CancelReachesTheHandler) {
  EchoServer server;
  Client client(server.address());
  grpc::ClientContext context;
  std::thread canceller([&] {
    server.WaitFor([&] { return server.counters().hanging == 1; });
    context.TryCancel();
  });
  BytesValue answer;
  grpc::Status status = client.Unary("Hang", Value("x"), &answer, &context);
  canceller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(server.WaitFor([&] { return server.counters().cancelled == 1; }));
}

TEST(GrpcClient, ALostConnectionCancelsItsCalls) {
  EchoServer server;
  auto client = std::make_unique<Client>(server.address());
  auto context = std::make_unique<grpc::ClientContext>();
  auto stream = client->Stream("Deaf", context.get());
  ASSERT_TRUE(stream->Write(Value("x")));
  ASSERT_TRUE(server.WaitFor([&] { return server.counters().hanging == 1; }));
  context->TryCancel();
  stream->Finish();
  stream.reset();
  client.reset();
  EXPECT_TRUE(server.WaitFor([&] { return server.counters().cancelled == 1; }));
  EXPECT_TRUE(server.WaitFor([&] { return server.server().stats().streams_open == 0; }));
}

TEST(GrpcClient, PingPongOverABidirectionalStream) {
  EchoServer server;
  Client client(server.address());
  grpc::ClientContext context;
  auto stream = client.Stream("Bidi", &context);
  for (size_t size : {size_t{1}, size_t{0}, size_t{100'000}, size_t{31}, size_t{1'900'000}}) {
    ASSERT_TRUE(stream->Write(Value(std::string(size, 'p'))));
    BytesValue answer;
    ASSERT_TRUE(stream->Read(&answer));
    EXPECT_EQ(answer.value().size(), size);
  }
  stream->WritesDone();
  BytesValue none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(GrpcClient, ClientStreamAnswersAtHalfClose) {
  EchoServer server;
  Client client(server.address());
  grpc::ClientContext context;
  auto stream = client.Stream("Collect", &context);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(stream->Write(Value(std::string(10'000, 'c'))));
  stream->WritesDone();
  BytesValue answer;
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.value(), "5000000");
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(GrpcClient, ASlowReaderStopsTheWriterAndLosesNothing) {
  ServerOptions options;
  options.limits.send_buffer_bytes = 64 << 10;
  EchoServer server(options);
  Client client(server.address());
  grpc::ClientContext context;
  auto stream = client.Stream("Source", &context);
  ASSERT_TRUE(stream->Write(Value("2000 10000")));
  // The writer must have met the limit before anything more is read.
  ASSERT_TRUE(server.WaitFor([&] { return server.counters().source_waits > 0; }));
  int count = 0;
  BytesValue answer;
  while (stream->Read(&answer)) {
    ASSERT_EQ(answer.value().size(), 10'000u);
    ++count;
  }
  EXPECT_EQ(count, 2000);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(GrpcClient, OneByteWindowsOfTheServer) {
  ServerOptions options;
  options.limits.stream_window = 1;
  EchoServer server(options);
  Client client(server.address());
  std::string answer;
  grpc::Status status = client.Unary("Unary", std::string(2000, 'w'), &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer, std::string(2000, 'w'));
}

TEST(GrpcClient, AHandlerThatReadsNothingStopsItsClientOnly) {
  EchoServer server;
  Client client(server.address());
  grpc::ClientContext deaf_context;
  auto deaf = client.Stream("Deaf", &deaf_context);
  std::thread writer([&] {
    while (deaf->Write(Value(std::string(100'000, 'd')))) {
    }
  });
  std::string answer;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client.Unary("Unary", "x", &answer).ok());
  deaf_context.TryCancel();
  writer.join();
  deaf->Finish();
  EXPECT_TRUE(server.WaitFor([&] { return server.counters().cancelled == 1; }));
}

TEST(GrpcClient, TheInterceptorSeesMetadataAndMayRefuse) {
  EchoServer server({}, 1, [](const CallInfo& info) -> std::optional<RpcStatus> {
    if (info.metadata.Find("token") == "good") return std::nullopt;
    return RpcStatus{GrpcCode::kUnauthenticated, "etcdserver: invalid auth token"};
  });
  Client client(server.address());
  BytesValue answer;
  grpc::ClientContext without;
  grpc::Status status = client.Unary("Unary", Value("x"), &answer, &without);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.error_message(), "etcdserver: invalid auth token");
  grpc::ClientContext with;
  with.AddMetadata("token", "good");
  EXPECT_TRUE(client.Unary("Unary", Value("x"), &answer, &with).ok());
  grpc::ClientContext stream_context;
  auto stream = client.Stream("Bidi", &stream_context);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST(GrpcClient, StopLetsCallsFinishAndRefusesNewOnes) {
  auto server = std::make_unique<EchoServer>();
  Client client(server->address());
  grpc::Status status;
  std::string answer;
  std::thread caller([&] { status = client.Unary("Later", "bye", &answer); });
  ASSERT_TRUE(server->WaitFor([&] { return server->server().stats().streams_opened == 1; }));
  server->server().Stop();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer, "bye");
  EXPECT_EQ(server->server().stats().connections_open, 0);
  grpc::Status refused = client.Unary("Unary", "x", &answer);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(GrpcClient, StopEndsHangingCallsAfterTheGrace) {
  ServerOptions options;
  options.stop_grace = std::chrono::milliseconds(100);
  EchoServer server(options);
  Client client(server.address());
  grpc::Status status;
  std::thread caller([&] {
    std::string answer;
    status = client.Unary("Hang", "x", &answer);
  });
  ASSERT_TRUE(server.WaitFor([&] { return server.counters().hanging == 1; }));
  server.server().Stop();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.counters().cancelled, 1);
}

// Streams that last end at once, behind the GOAWAY; what is under way beside them has the grace.
TEST(GrpcClient, StopEndsStreamsThatLastAndWaitsForAnswers) {
  ServerOptions options;
  options.stop_grace = std::chrono::minutes(2);
  EchoServer server(options, 2);
  Client client(server.address());
  Client other(server.address());
  grpc::ClientContext context;
  auto lasting = client.Stream("Lasting", &context);
  grpc::ClientContext other_context;
  auto other_lasting = other.Stream("Lasting", &other_context);
  ASSERT_TRUE(server.WaitFor([&] { return server.counters().hanging == 2; }));
  grpc::Status status;
  std::string answer;
  std::thread caller([&] { status = client.Unary("Later", "bye", &answer); });
  ASSERT_TRUE(server.WaitFor([&] { return server.server().stats().streams_opened == 3; }));
  server.server().Stop();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer, "bye");
  for (Client::BidiStream* stream : {lasting.get(), other_lasting.get()}) {
    grpc::Status end = stream->Finish();
    EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(end.error_message(), "stopped");
  }
  EXPECT_EQ(server.server().stats().connections_closed[static_cast<size_t>(CloseReason::kShutdown)],
            0u);
}

TEST(GrpcClient, ClientKeepalivePingsWithinTheRulesAreFine) {
  ServerOptions options;
  options.limits.keepalive.peer_interval_min = std::chrono::milliseconds(50);
  EchoServer server(options);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 100);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  Client client(server.address(), arguments);
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::milliseconds(1000)));
  BytesValue answer;
  grpc::Status status = client.Unary("Hang", Value("x"), &answer, &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(
      server.server().stats().connections_closed[static_cast<size_t>(CloseReason::kTooManyPings)],
      0u);
}

TEST(GrpcClient, CountsWhatBecameOfCalls) {
  EchoServer server;
  Client client(server.address());
  std::string answer;
  client.Unary("Unary", "x", &answer);
  client.Unary("Fail", "x", &answer);
  const Method* unary = server.methods().Find("/sluice.test.Echo/Unary");
  const Method* fail = server.methods().Find("/sluice.test.Echo/Fail");
  EXPECT_EQ(unary->counters->started, 1u);
  EXPECT_EQ(unary->counters->handled[0], 1u);
  EXPECT_EQ(unary->counters->messages_sent, 1u);
  EXPECT_GT(unary->counters->bytes_received, 0u);
  EXPECT_GT(unary->counters->bytes_sent, 0u);
  EXPECT_EQ(fail->counters->handled[static_cast<size_t>(GrpcCode::kInternal)], 1u);
}

}  // namespace
}  // namespace store::rpc::test
