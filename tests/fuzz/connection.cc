// SPDX-License-Identifier: Apache-2.0
// A whole server of the transport behind a real socket: the input is what a client sends before it
// ends its half. Covers the choice of protocol, nghttp2's session with our callbacks, HTTP/1.1
// exchanges and gRPC calls. Afterwards the connection must be gone.
#include "store/base/check.h"
#include "tests/fuzz/target.h"
#include "tests/interop/echo_server.h"
#include "tests/interop/raw_client.h"

#include <array>

namespace store::fuzz {
namespace {

using rpc::test::RawClient;

std::string Preface(std::string_view settings = {}) {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         RawClient::Frame(RawClient::kSettings, 0, 0, settings);
}

std::string Call(uint32_t stream, std::string_view method, std::string_view message,
                 std::string_view extra = {}) {
  // Behind gRPC's prefix a BytesValue: field 1, length, bytes.
  const std::string body =
      "\n" + std::string(1, static_cast<char>(message.size())) + std::string(message);
  const std::string prefixed =
      std::string(4, '\0') + std::string(1, static_cast<char>(body.size())) + body;
  const std::string path = "/sluice.test.Echo/" + std::string(method);
  return RawClient::Frame(RawClient::kHeaders, RawClient::kEndHeaders, stream,
                          RawClient::Request(path, "application/grpc", extra)) +
         RawClient::Frame(RawClient::kData, RawClient::kEndStream, stream, prefixed);
}

}  // namespace

void Run(std::string_view input) {
  // Leaked: its loop's thread must not outlive it, and the process ends without unwinding.
  static auto* server = new rpc::test::EchoServer();
  {
    RawClient client(server->address());
    client.Send(input);
    ::shutdown(client.fd(), SHUT_WR);
    std::array<char, 4096> answer;
    while (::recv(client.fd(), answer.data(), answer.size(), 0) > 0) {
    }
  }
  CHECK(server->WaitFor([] { return server->server().stats().connections_open == 0; }),
        "{} connections are open", server->server().stats().connections_open.load());
}

std::vector<std::string> Seeds() {
  const std::string ack = RawClient::Frame(RawClient::kSettings, RawClient::kAck, 0, {});
  const std::string ping = RawClient::Frame(RawClient::kPing, 0, 0, "12345678");
  const std::string window = RawClient::Frame(RawClient::kWindowUpdate, 0, 0, RawClient::Number(9));
  const std::string reset = RawClient::Frame(RawClient::kReset, 0, 1, RawClient::Number(8));
  // The third setting of all streams' first window: one byte.
  const std::string narrow = std::string("\0\4\0\0\0\1", 6);
  return {
      Preface() + ack + Call(1, "Unary", "hello"),
      Preface(narrow) + ack + Call(1, "Source", "3 100") + window,
      Preface() + Call(1, "Bidi", "a", RawClient::Header("grpc-timeout", "5S")) + ping + reset,
      Preface() + Call(1, "Collect", "x") + Call(3, "Fail", "text") + Call(5, "Hang", ""),
      Preface() + RawClient::Frame(RawClient::kHeaders, 5, 1,
                                   "\x82\x86" + RawClient::Header(":path", "/ping") +
                                       RawClient::Header(":authority", "h")),
      Preface() + RawClient::Frame(RawClient::kGoaway, 0, 0, std::string(8, '\0')),
      "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n",
      std::string("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc") +
          "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
  };
}

}  // namespace store::fuzz
