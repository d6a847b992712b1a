// SPDX-License-Identifier: Apache-2.0
// Clients that mean harm, against a server with its default limits in a process of its own: its
// memory stays bounded, and a client beside them is served all the time.
#include "store/rpc/grpc_frame.h"
#include "tests/interop/echo_process.h"
#include "tests/interop/raw_client.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace store::rpc::test {
namespace {

constexpr uint8_t kEndHeaders = RawClient::kEndHeaders;
constexpr uint32_t kRefused = 7;
constexpr uint32_t kEnhanceYourCalm = 11;

std::string Message(std::string_view bytes) {
  auto prefix = GrpcPrefix(bytes.size());
  return std::string(prefix.begin(), prefix.end()) + std::string(bytes);
}

std::string Headers(uint32_t stream, std::string_view block, uint8_t flags = kEndHeaders) {
  return RawClient::Frame(RawClient::kHeaders, flags, stream, block);
}

std::string Data(uint32_t stream, std::string_view bytes, bool end) {
  constexpr size_t kFrameBytesMax = 16 << 10;
  std::string frames;
  do {
    std::string_view piece = bytes.substr(0, kFrameBytesMax);
    bytes.remove_prefix(piece.size());
    uint8_t flags = end && bytes.empty() ? RawClient::kEndStream : 0;
    frames += RawClient::Frame(RawClient::kData, flags, stream, piece);
  } while (!bytes.empty());
  return frames;
}

uint32_t NumberAt(const RawFrame& frame, size_t at) {
  uint32_t number = 0;
  for (size_t i = at; i < at + 4; ++i)
    number = number << 8 | static_cast<uint8_t>(frame.payload[i]);
  return number;
}

// :method POST and :scheme http by their index in the static table.
std::string PostBlock(std::string_view path) {
  return "\x83\x86" + RawClient::Header(":path", path) + RawClient::Header(":authority", "test");
}

class Flood : public testing::Test {
 protected:
  // The server inherits it: ten thousand connections need as many descriptors on either side.
  static void SetUpTestSuite() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    descriptors_ = limit.rlim_cur;
  }
  Flood() : bystander_(server_.address()) {}

  // What the server grew by at its worst since the test began.
  void ExpectUnharmed(size_t growth_kib_max) {
    bystander_.Stop();
    EXPECT_EQ(bystander_.failed(), 0);
    EXPECT_GT(bystander_.answered(), 1);
    size_t growth = server_.peak_kib() - before_kib_;
    RecordProperty("growth_kib", static_cast<int>(growth));
    EXPECT_LT(growth, growth_kib_max);
  }
  // Everything is sent; the connection ends with that error.
  void ExpectEnds(const std::string& flood, uint32_t error_code) {
    RawClient client(server_.address());
    client.SendPreface();
    client.SendUntilBlocked(flood);
    auto goaway = client.ReadUntil(RawClient::kGoaway);
    ASSERT_TRUE(goaway);
    EXPECT_EQ(NumberAt(*goaway, 4), error_code);
    EXPECT_FALSE(client.ReadUntil(RawClient::kGoaway)) << "closed";
  }

  static inline rlim_t descriptors_ = 0;
  EchoProcess server_;
  Bystander bystander_;
  const size_t before_kib_ = server_.rss_kib();
};

TEST_F(Flood, RapidReset) {
  std::string block = RawClient::Request("/sluice.test.Echo/Deaf");
  std::string flood;
  for (uint32_t i = 0; i < 20'000; ++i) {
    flood += Headers(2 * i + 1, block) +
             RawClient::Frame(RawClient::kReset, 0, 2 * i + 1, RawClient::Number(8));
  }
  for (int i = 0; i < 10; ++i) ExpectEnds(flood, kEnhanceYourCalm);
  ExpectUnharmed(16 << 10);
}

// CVE-2025-8671: the client breaks a rule on each stream, so that it is we who reset.
TEST_F(Flood, ResetsThatTheServerIsMadeToSend) {
  std::string block = RawClient::Request("/sluice.test.Echo/Deaf");
  std::string flood;
  for (uint32_t i = 0; i < 20'000; ++i) {
    flood += Headers(2 * i + 1, block) + RawClient::Frame(RawClient::kWindowUpdate, 0, 2 * i + 1,
                                                          RawClient::Number(0x7fffffff));
  }
  for (int i = 0; i < 10; ++i) ExpectEnds(flood, kEnhanceYourCalm);
  ExpectUnharmed(16 << 10);
}

TEST_F(Flood, PingsAndSettings) {
  std::string pings;
  std::string settings;
  for (int i = 0; i < 50'000; ++i) {
    pings += RawClient::Frame(RawClient::kPing, 0, 0, "12345678");
    settings += RawClient::Frame(RawClient::kSettings, 0, 0, "");
  }
  for (int i = 0; i < 10; ++i) {
    ExpectEnds(pings, kEnhanceYourCalm);
    ExpectEnds(settings, kEnhanceYourCalm);
  }
  ExpectUnharmed(16 << 10);
}

TEST_F(Flood, FramesWithoutProgress) {
  std::string flood = Headers(1, RawClient::Request("/sluice.test.Echo/Deaf"));
  // Nothing but padding: 255 bytes and their length.
  std::string padding = '\xff' + std::string(255, '\0');
  for (int i = 0; i < 50'000; ++i) {
    flood += RawClient::Frame(RawClient::kData, RawClient::kPadded, 1, padding);
  }
  ExpectEnds(flood, kEnhanceYourCalm);
  ExpectUnharmed(16 << 10);
}

TEST_F(Flood, ContinuationsWithoutEnd) {
  RawClient client(server_.address());
  client.SendPreface();
  std::string flood = Headers(1, RawClient::Request("/sluice.test.Echo/Deaf"), 0);
  std::string more = RawClient::Header("x", std::string(120, 'x'));
  for (int i = 0; i < 100'000; ++i) flood += RawClient::Frame(RawClient::kContinuation, 0, 1, more);
  client.SendUntilBlocked(flood);
  while (client.Read()) {
  }
  ExpectUnharmed(16 << 10);
}

// Sixty kilobytes of headers in a hundred bytes, on as many streams as the server lets be open.
TEST_F(Flood, HeaderBomb) {
  RawClient client(server_.address());
  client.SendPreface();
  std::string plain = RawClient::Request("/sluice.test.Echo/Deaf");
  client.Send(Headers(1, plain + RawClient::TableHeader("x-bomb", std::string(4000, 'x'))));
  std::string bomb = plain;
  for (int i = 0; i < 15; ++i) bomb += RawClient::IndexedHeader(62);
  std::string flood;
  for (uint32_t i = 1; i < 5'000; ++i) flood += Headers(2 * i + 1, bomb);
  ASSERT_EQ(client.SendUntilBlocked(flood), flood.size());
  auto reset = client.ReadUntil(RawClient::kReset);
  ASSERT_TRUE(reset);
  EXPECT_EQ(NumberAt(*reset, 0), kRefused) << "the client may try again";
  EXPECT_GT(reset->stream, 1000u) << "64 MiB of them are taken";
  ExpectUnharmed(120 << 10);
}

TEST_F(Flood, BodiesWithoutEnd) {
  RawClient client(server_.address());
  client.SendPreface();
  ASSERT_TRUE(client.AcknowledgeSettings());
  std::string flood;
  std::string half = Message(std::string(1 << 20, 'x')).substr(0, 512 << 10);
  for (uint32_t i = 0; i < 150; ++i) {
    flood = Headers(4 * i + 1, PostBlock("/echo")) +
            Data(4 * i + 1, std::string(512 << 10, 'x'), false) +
            Headers(4 * i + 3, RawClient::Request("/sluice.test.Echo/Unary")) +
            Data(4 * i + 3, half, false);
    ASSERT_EQ(client.SendUntilBlocked(flood), flood.size()) << i;
  }
  ExpectUnharmed(110 << 10);
}

TEST_F(Flood, ErrorsThatNobodyReads) {
  RawClient client(server_.address());
  client.SendPreface();
  // Each error names its method, so that no table makes it small.
  std::string flood;
  uint32_t requests = 0;
  for (; flood.size() < (64 << 20); ++requests) {
    std::string method = std::to_string(requests) + std::string(1000, 'x');
    flood += Headers(2 * requests + 1, RawClient::Request("/sluice.test.Echo/" + method), 5);
  }
  size_t sent = client.SendUntilBlocked(flood);
  EXPECT_LT(sent, flood.size()) << "the server stops reading";
  ExpectUnharmed(24 << 10);
  // Who reads again gets every answer.
  std::thread rest([&] { client.Send(std::string_view(flood).substr(sent)); });
  uint32_t answers = 0;
  while (answers < requests && client.ReadUntil(RawClient::kHeaders)) ++answers;
  EXPECT_EQ(answers, requests);
  rest.join();
}

TEST_F(Flood, AnswersThatNobodyReads) {
  RawClient client(server_.address());
  client.SendPreface();
  ASSERT_TRUE(client.AcknowledgeSettings());
  std::string request = std::string("\x0a\x80\x80\x40", 4) + std::string(1 << 20, 'x');
  uint32_t stream = 1;
  for (; stream < 400; stream += 2) {
    std::string call = Headers(stream, RawClient::Request("/sluice.test.Echo/Unary")) +
                       Data(stream, Message(request), true);
    ASSERT_EQ(client.SendUntilBlocked(call), call.size()) << stream;
  }
  auto reset = client.ReadUntil(RawClient::kReset);
  ASSERT_TRUE(reset);
  EXPECT_EQ(NumberAt(*reset, 0), kRefused);
  ExpectUnharmed(120 << 10);
}

TEST_F(Flood, PipelinedHttpAnswersThatNobodyReads) {
  RawClient client(server_.address());
  std::string body(1 << 20, 'x');
  std::string request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n" + body;
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += request;
  EXPECT_LT(client.SendUntilBlocked(flood), flood.size()) << "the server stops reading";
  ExpectUnharmed(24 << 10);
}

TEST_F(Flood, SlowLoris) {
  constexpr int kEach = 500;
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string beginnings[] = {
      "", "PRI * HT", "GET /ping HTTP/1.1\r\nHost: a\r\nX-Slow: ",
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx",
      preface + RawClient::Frame(RawClient::kSettings, 0, 0, "") +
          Headers(1, RawClient::Request("/sluice.test.Echo/Unary"), 0).substr(0, 20)};
  std::vector<std::unique_ptr<RawClient>> slow;
  for (const std::string& beginning : beginnings) {
    for (int i = 0; i < kEach; ++i) {
      slow.push_back(std::make_unique<RawClient>(server_.address()));
      ASSERT_TRUE(slow.back()->Send(beginning));
    }
  }
  for (auto& client : slow) client->Send("x");
  ExpectUnharmed(48 << 10);
}

TEST_F(Flood, TenThousandConnections) {
  constexpr int kConnections = 10'000;
  if (descriptors_ < kConnections + 100) GTEST_SKIP() << "ulimit -Hn is " << descriptors_;
  std::vector<std::unique_ptr<RawClient>> clients;
  std::string call = Headers(1, RawClient::Request("/sluice.test.Echo/Unary")) +
                     Data(1, Message(std::string("\x0a\x03") + "abc"), true);
  for (int i = 0; i < kConnections; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_.address()));
    clients.back()->SendPreface();
    ASSERT_TRUE(clients.back()->Send(call));
  }
  for (auto& client : clients) {
    auto data = client->ReadUntil(RawClient::kData);
    ASSERT_TRUE(data);
    EXPECT_EQ(data->payload, Message(std::string("\x0a\x03") + "abc"));
  }
  // 32 KiB each: nghttp2's session and tables, ours, and a page of the input budget.
  ExpectUnharmed(kConnections * 32);
}

}  // namespace
}  // namespace store::rpc::test
