// SPDX-License-Identifier: Apache-2.0
// Plain HTTP as curl speaks it, the same over HTTP/1.1 and as streams of HTTP/2 without TLS.
// Debian's curl 7.88 has two faults of its own over HTTP/2, with every server: it cannot use a
// connection twice (its issue 10634), and it loses an answer that comes before its body is sent.
// These two cases are in raw_frames_test.cc.
#include "tests/interop/echo_server.h"
#include "tests/unit/base/temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <ostream>
#include <string>
#include <string_view>

namespace store::rpc::test {
namespace {

using namespace std::string_view_literals;

// What curl printed; with its own complaint, if it failed.
std::string Curl(const std::string& arguments) {
  std::FILE* pipe = popen(fmt::format("curl -sS -m 20 {} 2>&1", arguments).c_str(), "re");
  CHECK(pipe != nullptr);
  std::string output;
  char piece[4096];
  while (size_t count = std::fread(piece, 1, sizeof piece, pipe)) output.append(piece, count);
  int status = pclose(pipe);
  if (status != 0) output += fmt::format(" [curl ended with {}]", status >> 8);
  return output;
}

struct Protocol {
  const char* name;
  const char* option;
  const char* version;  // as curl shows it
};
void PrintTo(const Protocol& protocol, std::ostream* out) { *out << protocol.name; }

class CurlTest : public testing::TestWithParam<Protocol> {
 protected:
  void SetUp() override {
    if (Curl("--version").find("HTTP2") == std::string::npos) GTEST_SKIP() << "no curl with HTTP/2";
  }
  std::string Get(const std::string& path, const std::string& options = {}) const {
    return Curl(
        fmt::format("{} {} http://{}{}", GetParam().option, options, server_.address(), path));
  }
  // Only the status.
  std::string StatusOf(const std::string& path, const std::string& options = {}) const {
    return Get(path, "-o /dev/null -w '%{http_version} %{http_code}' " + options);
  }
  std::string Status(int code) const { return fmt::format("{} {}", GetParam().version, code); }
  std::string FileOf(size_t size) {
    std::string path = directory_.path() + "/body";
    std::ofstream(path) << std::string(size, 'x');
    return path;
  }

  EchoServer server_;
  TempDir directory_;
};

TEST_P(CurlTest, GetsAPageInOnePieceAndInSeveral) {
  EXPECT_EQ(Get("/ping"), "pong\n");
  EXPECT_EQ(Get("/stream"), "one\ntwo\nthree\n");
  EXPECT_EQ(StatusOf("/ping"), Status(200));
}

TEST_P(CurlTest, AnAnswerMayComeLater) { EXPECT_EQ(Get("/later"), "late\n"); }

TEST_P(CurlTest, HeadHasTheLengthAndNoBody) {
  const std::string head = Get("/ping", "--head");
  EXPECT_NE(head.find("ontent-"), std::string::npos) << head;
  EXPECT_EQ(head.find("pong"), std::string::npos) << head;
}

TEST_P(CurlTest, BodiesComeBackWhole) {
  EXPECT_EQ(Get("/echo", "-d hello"), "hello");
  EXPECT_EQ(Get("/echo", "--data-binary @" + FileOf(3'000'000)), std::string(3'000'000, 'x'));
}

TEST_P(CurlTest, ABodyBeyondTheLimitIsRefused) {
  if (GetParam().version == "2"sv) GTEST_SKIP() << "curl loses an early answer";
  EXPECT_EQ(StatusOf("/echo", "-H Expect: --data-binary @" + FileOf(6 << 20)), Status(413));
}

TEST_P(CurlTest, UnknownPathsAndMethods) {
  EXPECT_EQ(StatusOf("/nothing"), Status(404));
  EXPECT_EQ(StatusOf("/ping", "-X DELETE"), Status(405));
}

TEST_P(CurlTest, ManyRequestsOfOneConnection) {
  if (GetParam().version == "2"sv) GTEST_SKIP() << "curl 7.88 cannot";
  const std::string url = fmt::format("http://{}/ping", server_.address());
  EXPECT_EQ(Curl(fmt::format("{} {} {} {}", GetParam().option, url, url, url)),
            "pong\npong\npong\n");
  EXPECT_TRUE(server_.WaitFor([&] { return server_.server().stats().connections_open == 0; }));
  EXPECT_EQ(server_.server().stats().connections_accepted, 1u);
}

std::string NameOf(const testing::TestParamInfo<Protocol>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Protocols, CurlTest,
                         testing::Values(Protocol{"Http1", "--http1.1", "1.1"},
                                         Protocol{"Http2", "--http2-prior-knowledge", "2"},
                                         // Asks for an upgrade, which a server may ignore.
                                         Protocol{"Http1Upgrade", "--http2", "1.1"}),
                         NameOf);

using CurlGrpcTest = CurlTest;

TEST_P(CurlGrpcTest, AMethodAskedForAsAPageIsAnUnsupportedMediaType) {
  const std::string path = "/sluice.test.Echo/Unary";
  const std::string answer = Get(path, "-i -X POST -H 'content-type: application/json'");
  EXPECT_TRUE(answer.starts_with("HTTP/2 415")) << answer;
  EXPECT_NE(answer.find("invalid gRPC request content-type"), std::string::npos) << answer;
  // Looks like gRPC and is not.
  EXPECT_EQ(StatusOf("/ping", "-H 'content-type: application/grpcx' -X POST"), Status(415));
  EXPECT_EQ(StatusOf(path, "-H 'content-type: application/grpc'"), Status(405)) << "GET";
}

INSTANTIATE_TEST_SUITE_P(Protocols, CurlGrpcTest,
                         testing::Values(Protocol{"Http2", "--http2-prior-knowledge", "2"}),
                         NameOf);

}  // namespace
}  // namespace store::rpc::test
