// SPDX-License-Identifier: Apache-2.0
// What no library sends: floods, half requests, odd content types, frames cut anywhere.
#include "store/base/clock.h"
#include "store/rpc/grpc_frame.h"
#include "tests/interop/echo_server.h"
#include "tests/interop/raw_client.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <thread>

namespace store::rpc::test {
namespace {

const std::string kUnary = "/sluice.test.Echo/Unary";
constexpr uint32_t kEnhanceYourCalm = 11;

uint32_t ErrorCodeOf(const RawFrame& goaway) {
  uint32_t code = 0;
  for (size_t i = 4; i < 8; ++i) code = code << 8 | static_cast<uint8_t>(goaway.payload[i]);
  return code;
}

std::string Message(std::string_view bytes) {
  auto prefix = GrpcPrefix(bytes.size());
  return std::string(prefix.begin(), prefix.end()) + std::string(bytes);
}

// A google.protobuf.BytesValue of less than 128 bytes, on the wire.
std::string Value(std::string_view bytes) {
  return std::string{'\x0a', static_cast<char>(bytes.size())} + std::string(bytes);
}

uint64_t Closed(EchoServer& server, CloseReason reason) {
  return server.server().stats().connections_closed[static_cast<size_t>(reason)];
}

TEST(RawFrames, PingFloodGetsTooManyPings) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  std::string ping = RawClient::Frame(RawClient::kPing, 0, 0, "12345678");
  for (int i = 0; i < 10; ++i) client.Send(ping);
  auto goaway = client.ReadUntil(RawClient::kGoaway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(ErrorCodeOf(*goaway), kEnhanceYourCalm);
  EXPECT_EQ(goaway->payload.substr(8), "too_many_pings");
  EXPECT_TRUE(server.WaitFor([&] { return Closed(server, CloseReason::kTooManyPings) == 1; }));
}

TEST(RawFrames, SettingsFloodEndsTheConnection) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  std::string settings = RawClient::Frame(RawClient::kSettings, 0, 0, "");
  for (int i = 0; i < 300; ++i) client.Send(settings);
  auto goaway = client.ReadUntil(RawClient::kGoaway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(ErrorCodeOf(*goaway), kEnhanceYourCalm);
  EXPECT_TRUE(server.WaitFor([&] { return Closed(server, CloseReason::kFlood) == 1; }));
}

TEST(RawFrames, RapidResetEndsTheConnectionAndCancelsEveryCall) {
  ServerOptions options;
  options.limits.resets = {100, 10};
  EchoServer server(options);
  RawClient client(server.address());
  client.SendPreface();
  std::string request = RawClient::Request("/sluice.test.Echo/Deaf");
  for (uint32_t i = 0; i < 200; ++i) {
    client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 2 * i + 1, request) +
                RawClient::Frame(RawClient::kReset, 0, 2 * i + 1, RawClient::Number(8)));
  }
  auto goaway = client.ReadUntil(RawClient::kGoaway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(ErrorCodeOf(*goaway), kEnhanceYourCalm);
  EXPECT_TRUE(server.WaitFor([&] { return Closed(server, CloseReason::kFlood) == 1; }));
  EXPECT_EQ(server.counters().cancelled, server.counters().hanging);
  EXPECT_EQ(server.server().stats().streams_open, 0);
}

TEST(RawFrames, EmptyDataFloodEndsTheConnection) {
  ServerOptions options;
  options.limits.empty_frames = {50, 1};
  EchoServer server(options);
  RawClient client(server.address());
  client.SendPreface();
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1,
                               RawClient::Request("/sluice.test.Echo/Deaf")));
  for (int i = 0; i < 100; ++i) client.Send(RawClient::Frame(RawClient::kData, 0, 1, ""));
  ASSERT_TRUE(client.ReadUntil(RawClient::kGoaway));
  EXPECT_TRUE(server.WaitFor([&] { return Closed(server, CloseReason::kFlood) == 1; }));
}

TEST(RawFrames, ARequestSentByteByByteIsAnswered) {
  EchoServer server;
  RawClient client(server.address());
  std::string bytes =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + RawClient::Frame(RawClient::kSettings, 0, 0, "") +
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kData, RawClient::kEndStream, 1, Message(Value("abc")));
  for (char c : bytes) client.Send({&c, 1});
  auto data = client.ReadUntil(RawClient::kData);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->payload, Message(Value("abc")));
}

TEST(RawFrames, AnswersFitIntoAWindowOfOneByte) {
  EchoServer server;
  RawClient client(server.address());
  // SETTINGS_INITIAL_WINDOW_SIZE = 1.
  client.SendPreface(std::string("\0\4\0\0\0\1", 6));
  client.Send(
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kData, RawClient::kEndStream, 1, Message(Value("abc"))));
  std::string received;
  while (received.size() < 10) {
    auto data = client.ReadUntil(RawClient::kData);
    ASSERT_TRUE(data);
    ASSERT_EQ(data->payload.size(), 1u);
    received += data->payload;
    client.Send(RawClient::Frame(RawClient::kWindowUpdate, 0, 1, RawClient::Number(1)));
  }
  EXPECT_EQ(received, Message(Value("abc")));
  auto trailers = client.ReadUntil(RawClient::kHeaders);
  ASSERT_TRUE(trailers);
  EXPECT_TRUE(trailers->flags & RawClient::kEndStream);
}

TEST(RawFrames, HttpAndGrpcShareAConnection) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  const uint8_t whole = RawClient::kEndHeaders | RawClient::kEndStream;
  // :method GET and :scheme http by their index in the static table.
  std::string ping =
      "\x82\x86" + RawClient::Header(":path", "/ping") + RawClient::Header(":authority", "test");
  client.Send(
      RawClient::Frame(RawClient::kHeaders, whole, 1, ping) +
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 3, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kHeaders, whole, 5, ping) +
      RawClient::Frame(RawClient::kData, RawClient::kEndStream, 3, Message(Value("abc"))));
  std::map<uint32_t, std::string> received;
  while (received.size() < 3) {
    auto data = client.ReadUntil(RawClient::kData);
    ASSERT_TRUE(data);
    received[data->stream] += data->payload;
  }
  EXPECT_EQ(received[1], "pong\n");
  EXPECT_EQ(received[3], Message(Value("abc")));
  EXPECT_EQ(received[5], "pong\n");
}

TEST(RawFrames, AnHttpBodyBeyondTheLimitIsRefusedBeforeItsEnd) {
  ServerOptions options;
  options.limits.http_body_bytes_max = 1000;
  EchoServer server(options);
  RawClient client(server.address());
  client.SendPreface();
  // :method POST and :scheme http by their index in the static table.
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1,
                               "\x83\x86" + RawClient::Header(":path", "/echo") +
                                   RawClient::Header(":authority", "test")) +
              RawClient::Frame(RawClient::kData, 0, 1, std::string(1001, 'x')));
  auto data = client.ReadUntil(RawClient::kData);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->payload, "http: request body too large\n");
  auto reset = client.ReadUntil(RawClient::kReset);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->payload, RawClient::Number(0)) << "NO_ERROR: the answer is complete";
}

TEST(RawFrames, TooLargeIsAnsweredBeforeTheBytesCome) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  auto prefix = GrpcPrefix(3'000'000'000);
  client.Send(
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kData, 0, 1, {prefix.data(), prefix.size()}));
  auto headers = client.ReadUntil(RawClient::kHeaders);
  ASSERT_TRUE(headers);
  EXPECT_TRUE(headers->flags & RawClient::kEndStream) << "trailers only";
  auto reset = client.ReadUntil(RawClient::kReset);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->payload, RawClient::Number(0)) << "NO_ERROR: the answer is complete";
}

TEST(RawFrames, UnaryWithoutAMessageIsAnError) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders | RawClient::kEndStream,
                               1, RawClient::Request(kUnary)));
  auto headers = client.ReadUntil(RawClient::kHeaders);
  ASSERT_TRUE(headers);
  EXPECT_TRUE(headers->flags & RawClient::kEndStream);
  const Method* method = server.methods().Find(kUnary);
  EXPECT_EQ(method->counters->handled[static_cast<size_t>(GrpcCode::kInternal)], 1u);
}

TEST(RawFrames, AMessageCutByTheEndOfTheStreamIsAnError) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  client.Send(
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kData, RawClient::kEndStream, 1, Message("hello").substr(0, 7)));
  ASSERT_TRUE(client.ReadUntil(RawClient::kHeaders));
  const Method* method = server.methods().Find(kUnary);
  EXPECT_EQ(method->counters->handled[static_cast<size_t>(GrpcCode::kInternal)], 1u);
  EXPECT_EQ(method->counters->messages_received, 0u);
}

TEST(RawFrames, ServerPingsASilentClientAndCloses) {
  ServerOptions options;
  options.limits.keepalive.interval = std::chrono::milliseconds(50);
  options.limits.keepalive.timeout = std::chrono::milliseconds(50);
  EchoServer server(options);
  RawClient client(server.address());
  client.SendPreface();
  auto ping = client.ReadUntil(RawClient::kPing);
  ASSERT_TRUE(ping);
  client.Send(RawClient::Frame(RawClient::kPing, RawClient::kAck, 0, ping->payload));
  ASSERT_TRUE(client.ReadUntil(RawClient::kPing)) << "answered, so asked again";
  EXPECT_FALSE(client.ReadUntil(RawClient::kGoaway)) << "not answered: closed";
  EXPECT_TRUE(server.WaitFor([&] { return Closed(server, CloseReason::kKeepaliveTimeout) == 1; }));
}

TEST(RawFrames, ShutdownNamesTheLastStream) {
  EchoServer server;
  RawClient client(server.address());
  client.SendPreface();
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 5,
                               RawClient::Request("/sluice.test.Echo/Bidi")));
  ASSERT_TRUE(server.WaitFor([&] { return server.server().stats().streams_opened == 1; }));
  std::thread stopper([&] { server.server().Stop(); });
  auto goaway = client.ReadUntil(RawClient::kGoaway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->payload.substr(0, 4), RawClient::Number(5));
  EXPECT_EQ(ErrorCodeOf(*goaway), 0u);
  client.Send(RawClient::Frame(RawClient::kData, RawClient::kEndStream, 5, Message(Value("late"))));
  EXPECT_TRUE(client.ReadUntil(RawClient::kData)) << "the call under way is still answered";
  stopper.join();
  EXPECT_EQ(server.server().stats().connections_open, 0);
}

TEST(RawFrames, ShutdownDoesNotWaitForAWindowThatNobodyOpens) {
  ServerOptions options;
  options.stop_grace = std::chrono::seconds(300);
  options.unread_grace = std::chrono::milliseconds(100);
  EchoServer server(options);
  RawClient client(server.address());
  // SETTINGS_INITIAL_WINDOW_SIZE = 1.
  client.SendPreface(std::string("\0\4\0\0\0\1", 6));
  client.Send(
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kData, RawClient::kEndStream, 1, Message(Value("abc"))));
  ASSERT_TRUE(client.ReadUntil(RawClient::kData));
  const SystemClock clock;
  const TimePoint began = clock.Now();
  server.server().Stop();
  EXPECT_LT(clock.Now() - began, std::chrono::seconds(150));
}

TEST(RawFrames, HeadersBeyondTheLimitAreRefused) {
  ServerOptions options;
  options.limits.header_bytes_max = 1000;
  EchoServer server(options);
  RawClient client(server.address());
  client.SendPreface();
  std::string extra;
  for (int i = 0; i < 20; ++i)
    extra += RawClient::Header("x-" + std::to_string(i), std::string(60, 'v'));
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders | RawClient::kEndStream,
                               1, RawClient::Request(kUnary, "application/grpc", extra)));
  auto headers = client.ReadUntil(RawClient::kHeaders);
  ASSERT_TRUE(headers);
  EXPECT_TRUE(headers->flags & RawClient::kEndStream);
  EXPECT_EQ(server.methods().Find(kUnary)->counters->started, 0u);
}

// Frames until the answer to a ping: what the server had to say up to then.
std::map<uint8_t, int> FramesUntilPong(RawClient& client) {
  std::map<uint8_t, int> frames;
  client.Send(RawClient::Frame(RawClient::kPing, 0, 0, "12345678"));
  for (auto frame = client.Read(); frame && frame->type != RawClient::kPing;
       frame = client.Read()) {
    ++frames[frame->type];
  }
  return frames;
}

TEST(RawFrames, WindowsOpenOnlyForWhatAHandlerHasRead) {
  EchoServer server;
  for (bool reads : {false, true}) {
    RawClient client(server.address());
    client.SendPreface();
    ASSERT_TRUE(client.AcknowledgeSettings());
    client.Send(RawClient::Frame(
        RawClient::kHeaders, RawClient::kEndHeaders, 1,
        RawClient::Request(reads ? "/sluice.test.Echo/Collect" : "/sluice.test.Echo/Deaf")));
    ASSERT_TRUE(client.ReadUntil(RawClient::kWindowUpdate)) << "of the server's own preface";
    std::string message = Message(Value(std::string(100, 'x')));
    // Nearly the stream's window of 1 MiB.
    std::string flood;
    for (size_t bytes = message.size(); bytes < 1'000'000; bytes += message.size()) {
      flood += RawClient::Frame(RawClient::kData, 0, 1, message);
    }
    client.Send(flood);
    std::map<uint8_t, int> answers = FramesUntilPong(client);
    EXPECT_EQ(answers[RawClient::kWindowUpdate] > 0, reads);
    EXPECT_EQ(answers[RawClient::kReset], 0);
  }
}

TEST(RawFrames, AStreamThatDoesNotTakeItsAnswersIsNotReadFrom) {
  ServerOptions options;
  options.limits.send_buffer_bytes = 64 << 10;
  EchoServer server(options);
  RawClient client(server.address());
  // SETTINGS_INITIAL_WINDOW_SIZE = 0: no answer may be sent.
  client.SendPreface(std::string("\0\4\0\0\0\0", 6));
  ASSERT_TRUE(client.AcknowledgeSettings());
  const std::string path = "/sluice.test.Echo/Bidi";
  std::string flood =
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(path));
  constexpr int kMessages = 50'000;
  std::string message = RawClient::Frame(RawClient::kData, 0, 1, Message(Value("abc")));
  for (int i = 0; i < kMessages; ++i) flood += message;
  client.Send(flood + RawClient::Frame(RawClient::kData, RawClient::kEndStream, 1, ""));
  FramesUntilPong(client);
  const MethodCounters& counters = *server.methods().Find(path)->counters;
  EXPECT_GT(counters.messages_received, 0u);
  EXPECT_LT(counters.messages_received, 2000u) << "64 KiB of answers are more than their bytes";
  // With room for the answers everything goes on.
  client.Send(RawClient::Frame(RawClient::kWindowUpdate, 0, 0, RawClient::Number(10'000'000)) +
              RawClient::Frame(RawClient::kWindowUpdate, 0, 1, RawClient::Number(10'000'000)));
  for (auto frame = client.Read(); frame; frame = client.Read()) {
    if (frame->stream == 1 && (frame->flags & RawClient::kEndStream) != 0) break;
  }
  EXPECT_EQ(counters.messages_sent, static_cast<uint64_t>(kMessages));
}

TEST(RawFrames, PaddingDoesNotUseUpTheWindow) {
  ServerOptions options;
  options.limits.connection_window = 1 << 20;
  EchoServer server(options);
  RawClient client(server.address());
  client.SendPreface();
  ASSERT_TRUE(client.AcknowledgeSettings());
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1,
                               RawClient::Request("/sluice.test.Echo/Collect")));
  // 255 bytes of padding around each message of 7 bytes; twice the window in all.
  std::string padded = '\xff' + Message(Value("")) + std::string(255, '\0');
  for (size_t bytes = 0; bytes < (2 << 20); bytes += padded.size()) {
    client.Send(RawClient::Frame(RawClient::kData, RawClient::kPadded, 1, padded));
  }
  client.Send(RawClient::Frame(RawClient::kData, RawClient::kEndStream, 1, ""));
  auto answer = client.ReadUntil(RawClient::kData);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->payload, Message(Value("0")));
}

TEST(RawFrames, ConnectionsBeyondTheLimitWait) {
  ServerOptions options;
  options.connections_max = 2;
  EchoServer server(options);
  auto first = std::make_unique<RawClient>(server.address());
  RawClient second(server.address());
  RawClient third(server.address());
  ASSERT_TRUE(server.WaitFor([&] { return server.server().stats().accept_rests > 0; }));
  EXPECT_EQ(server.server().stats().connections_open, 2);
  first.reset();
  third.SendPreface();
  EXPECT_TRUE(third.ReadUntil(RawClient::kSettings)) << "served when another one has gone";
}

TEST(RawFrames, WhatEveryoneMakesUsKeepIsBounded) {
  ServerOptions options;
  options.input_bytes_max = 64 << 10;
  EchoServer server(options);
  std::string half = Message(std::string(40'000, 'x')).substr(0, 1000);
  std::string call =
      RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1, RawClient::Request(kUnary)) +
      RawClient::Frame(RawClient::kData, 0, 1, half);
  auto first = std::make_unique<RawClient>(server.address());
  first->SendPreface();
  first->Send(call);
  ASSERT_TRUE(server.WaitFor([&] { return server.server().input_bytes() >= 40'000; }));
  RawClient second(server.address());
  second.SendPreface();
  second.Send(call);
  ASSERT_TRUE(second.ReadUntil(RawClient::kHeaders)) << "refused";
  const Method* method = server.methods().Find(kUnary);
  EXPECT_EQ(method->counters->handled[static_cast<size_t>(GrpcCode::kResourceExhausted)], 1u);
  first.reset();
  EXPECT_TRUE(server.WaitFor([&] { return server.server().input_bytes() < 20'000; }));
}

TEST(RawFrames, HalfARequestIsNotWaitedForLongerThanItsTime) {
  ServerOptions options;
  options.limits.sniff_timeout = std::chrono::milliseconds(100);
  options.limits.http_header_timeout = std::chrono::milliseconds(100);
  options.limits.http_body_timeout = std::chrono::milliseconds(100);
  EchoServer server(options);
  SystemClock clock;
  for (const char* beginning : {"", "PRI * HT", "GET /ping HTTP/1.1\r\nHost: a\r\nX-Slow: ",
                                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"}) {
    uint64_t before = Closed(server, CloseReason::kTimeout);
    RawClient client(server.address());
    client.Send(beginning);
    // A byte now and then does not help: the time is for the whole. As many as can be sent in that
    // time would be more than a header may have.
    TimePoint next_byte = clock.Now();
    EXPECT_TRUE(server.WaitFor([&] {
      if (*beginning == 'G' && clock.Now() >= next_byte) {
        client.Send("x");
        next_byte += std::chrono::milliseconds(1);
      }
      return Closed(server, CloseReason::kTimeout) == before + 1;
    })) << beginning;
  }
}

TEST(RawFrames, AnHttpHeaderBeyondTheLimitIsRefused) {
  EchoServer server;
  RawClient client(server.address());
  client.Send("GET /ping HTTP/1.1\r\nHost: a\r\nX-Large: " + std::string(70'000, 'x'));
  std::string answer(12, '\0');
  ASSERT_EQ(recv(client.fd(), answer.data(), answer.size(), MSG_WAITALL), 12);
  EXPECT_EQ(answer, "HTTP/1.1 431");
  EXPECT_TRUE(server.WaitFor([&] { return server.server().stats().connections_open == 0; }));
}

TEST(RawFrames, AClientThatDoesNotReadIsNotBufferedFor) {
  ServerOptions options;
  options.limits.send_buffer_bytes = 64 << 10;
  EchoServer server(options);
  RawClient client(server.address());
  // Windows as large as they can be; then not a byte is read.
  client.SendPreface(std::string("\0\4\x7f\xff\xff\xff", 6));
  client.Send(
      RawClient::Frame(RawClient::kWindowUpdate, 0, 0, RawClient::Number(0x7fff0000 - 65535)));
  client.Send(RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, 1,
                               RawClient::Request("/sluice.test.Echo/Source")) +
              RawClient::Frame(RawClient::kData, 0, 1, Message(Value("100000 10000"))));
  ASSERT_TRUE(server.WaitFor([&] { return server.counters().source_waits > 0; }));
  const Method* method = server.methods().Find("/sluice.test.Echo/Source");
  // Kernel buffers and ours together are far below the gigabyte that waits.
  EXPECT_LT(method->counters->messages_sent, 5000u);
  client.Send(RawClient::Frame(RawClient::kReset, 0, 1, RawClient::Number(8)));
  EXPECT_TRUE(server.WaitFor(
      [&] { return server.counters().cancelled == 1 || method->counters->messages_sent > 5000u; }));
  EXPECT_LT(method->counters->messages_sent, 5000u);
}

}  // namespace
}  // namespace store::rpc::test
