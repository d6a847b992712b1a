// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 requests: the parser must say the same however the bytes are cut, and keep no more than
// its limits.
#include "store/base/check.h"
#include "store/rpc/http1_parser.h"
#include "tests/fuzz/target.h"

#include <algorithm>

namespace store::fuzz {
namespace {

using rpc::Http1Parser;

constexpr size_t kHeaderBytesMax = 1 << 10;
constexpr size_t kBodyBytesMax = 2 << 10;

// What came out, as one text.
std::string Parse(std::string_view bytes, size_t step) {
  Http1Parser parser(kHeaderBytesMax, kBodyBytesMax);
  std::string said;
  while (!bytes.empty() && parser.state() != Http1Parser::State::kFailed) {
    std::string_view piece = bytes.substr(0, step);
    const size_t before = piece.size();
    parser.Feed(&piece);
    bytes.remove_prefix(before - piece.size());
    if (parser.state() != Http1Parser::State::kRequest) continue;
    const rpc::HttpRequest request = parser.Next();
    CHECK(request.body.size() <= kBodyBytesMax);
    said += request.method + ' ' + request.path + '?' + request.query + ' ' + request.host + ' ' +
            request.body + '\n';
  }
  if (parser.state() == Http1Parser::State::kFailed) said += std::to_string(parser.status());
  return said;
}

}  // namespace

void Run(std::string_view input) {
  const std::string whole = Parse(input, input.size() + 1);
  CHECK(Parse(input, 1) == whole);
  CHECK(Parse(input, 7) == whole);
}

std::vector<std::string> Seeds() {
  return {
      "GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /version HTTP/1.0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
      "POST /v3/kv%2Fput?a=1&b=%20x HTTP/1.1\r\nHost: e:2379\r\nX-One:  p \r\n"
      "Content-Length: 5\r\n\r\nhello",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;e=1\r\n"
      "0123456789\r\n0\r\nTrailer: x\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
      "GET http://h:1/path HTTP/1.1\r\nHost: h\r\n\r\n",
  };
}

}  // namespace store::fuzz
