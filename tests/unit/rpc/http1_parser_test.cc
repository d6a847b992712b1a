// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/http1_parser.h"

#include <gtest/gtest.h>

#include <string>

namespace store::rpc {
namespace {

using State = Http1Parser::State;

State Feed(Http1Parser* parser, std::string_view bytes, size_t step = 1 << 20) {
  while (!bytes.empty() && parser->state() != State::kFailed &&
         parser->state() != State::kRequest) {
    std::string_view piece = bytes.substr(0, step);
    size_t before = piece.size();
    parser->Feed(&piece);
    bytes.remove_prefix(before - piece.size());
  }
  return parser->state();
}

TEST(Http1Parser, ReadsARequestHoweverItIsCut) {
  std::string bytes =
      "POST /v3/kv%2Fput?a=1&b=%20x HTTP/1.1\r\nHost: example:2379\r\nX-One:  padded \r\n"
      "Content-Length: 5\r\n\r\nhello";
  for (size_t step : {size_t{1}, size_t{3}, size_t{7}, bytes.size()}) {
    Http1Parser parser(1000, 1000);
    ASSERT_EQ(Feed(&parser, bytes, step), State::kRequest) << step;
    EXPECT_TRUE(parser.keep_alive());
    HttpRequest request = parser.Next();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/v3/kv/put");
    EXPECT_EQ(request.query, "a=1&b=%20x");
    EXPECT_EQ(request.host, "example:2379");
    EXPECT_EQ(request.Header("x-one"), "padded");
    EXPECT_EQ(request.body, "hello");
    EXPECT_EQ(request.Query("b"), std::vector<std::string>{" x"});
    EXPECT_TRUE(parser.idle());
  }
}

TEST(Http1Parser, ReadsChunkedBodies) {
  std::string bytes =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  for (size_t step : {size_t{1}, size_t{5}, bytes.size()}) {
    Http1Parser parser(1000, 1000);
    ASSERT_EQ(Feed(&parser, bytes, step), State::kRequest) << step;
    EXPECT_EQ(parser.Next().body, "abc0123456789");
  }
}

TEST(Http1Parser, LeavesTheNextRequestAlone) {
  std::string bytes = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.0\r\n\r\n";
  Http1Parser parser(1000, 1000);
  std::string_view view = bytes;
  ASSERT_EQ(parser.Feed(&view), State::kRequest);
  EXPECT_EQ(parser.Next().path, "/1");
  ASSERT_EQ(parser.Feed(&view), State::kRequest);
  EXPECT_FALSE(parser.keep_alive());
  EXPECT_TRUE(parser.http_1_0());
  EXPECT_EQ(parser.Next().path, "/2");
}

TEST(Http1Parser, ConnectionHeaderDecidesKeepAlive) {
  Http1Parser close_parser(1000, 1000);
  Feed(&close_parser, "GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n");
  EXPECT_FALSE(close_parser.keep_alive());
  Http1Parser keep_parser(1000, 1000);
  Feed(&keep_parser, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(keep_parser.keep_alive());
}

TEST(Http1Parser, AsksForContinueOnce) {
  Http1Parser parser(1000, 1000);
  Feed(&parser, "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_TRUE(parser.TakeExpectContinue());
  EXPECT_FALSE(parser.TakeExpectContinue());
  EXPECT_EQ(Feed(&parser, "x"), State::kRequest);
}

struct BadCase {
  const char* name;
  std::string bytes;
  int status;
};

class Http1ParserRefuses : public ::testing::TestWithParam<BadCase> {};

TEST_P(Http1ParserRefuses, WithTheRightStatus) {
  for (size_t step : {size_t{1}, size_t{1} << 20}) {
    Http1Parser parser(200, 10);
    ASSERT_EQ(Feed(&parser, GetParam().bytes, step), State::kFailed);
    EXPECT_EQ(parser.status(), GetParam().status);
    EXPECT_FALSE(parser.keep_alive());
  }
}

const std::string kHost = "Host: h\r\n";

INSTANTIATE_TEST_SUITE_P(
    Cases, Http1ParserRefuses,
    ::testing::Values(
        BadCase{"NoVersion", "GET /\r\n\r\n", 400},
        BadCase{"OldVersion", "GET / HTTP/0.9\r\n" + kHost + "\r\n", 505},
        BadCase{"NotHttp", "GET / SPDY/3\r\n" + kHost + "\r\n", 400},
        BadCase{"BadMethod", "G\x01T / HTTP/1.1\r\n" + kHost + "\r\n", 400},
        BadCase{"NoSlash", "GET foo HTTP/1.1\r\n" + kHost + "\r\n", 400},
        BadCase{"SpaceInTarget", "GET /a b HTTP/1.1\r\n" + kHost + "\r\n", 400},
        BadCase{"BadEscape", "GET /%zz HTTP/1.1\r\n" + kHost + "\r\n", 400},
        BadCase{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
        BadCase{"TwoHosts", "GET / HTTP/1.1\r\n" + kHost + kHost + "\r\n", 400},
        BadCase{"FoldedHeader", "GET / HTTP/1.1\r\n" + kHost + "A: b\r\n c\r\n\r\n", 400},
        BadCase{"SpaceBeforeColon", "GET / HTTP/1.1\r\n" + kHost + "A : b\r\n\r\n", 400},
        BadCase{"BareNewline", "GET / HTTP/1.1\r\n" + kHost + "A: b\nC: d\r\n\r\n", 400},
        BadCase{"TwoLengths",
                "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                400},
        BadCase{"NegativeLength", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: -1\r\n\r\n",
                400},
        BadCase{"LengthAndChunked",
                "POST / HTTP/1.1\r\n" + kHost +
                    "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400},
        BadCase{"UnknownEncoding",
                "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        BadCase{"BodyTooLarge", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 11\r\n\r\n", 413},
        BadCase{"ChunksTooLarge",
                "POST / HTTP/1.1\r\n" + kHost +
                    "Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n3\r\nabc\r\n",
                413},
        BadCase{"BadChunkSize",
                "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
        BadCase{"BadExpect",
                "POST / HTTP/1.1\r\n" + kHost + "Expect: tea\r\nContent-Length: 1\r\n\r\n", 417},
        BadCase{"HeaderTooLarge", "GET / HTTP/1.1\r\n" + kHost + "A: " + std::string(300, 'x'),
                431}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace store::rpc
