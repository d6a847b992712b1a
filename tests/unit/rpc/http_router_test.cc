// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/http_router.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace store::rpc {
namespace {

class FakeExchange final : public HttpExchange {
 public:
  FakeExchange(std::string method, std::string path) {
    request_.method = std::move(method);
    request_.path = std::move(path);
  }
  using HttpExchange::Cancelled;
  using HttpExchange::Drained;

  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
  bool ended = false;

 private:
  void SendHead(int code, std::span<const HttpHeader> list, std::optional<size_t>) override {
    status = code;
    for (const HttpHeader& header : list) headers[header.name] = header.value;
  }
  bool SendPiece(SharedBytes piece) override {
    body += piece.view();
    return false;
  }
  void SendEnd() override { ended = true; }
};

std::shared_ptr<FakeExchange> Ask(const HttpRouter& router, std::string method, std::string path) {
  auto exchange = std::make_shared<FakeExchange>(std::move(method), std::move(path));
  router.Route(exchange);
  return exchange;
}

HttpRouter::Handler Says(std::string text) {
  return
      [text](HttpExchangePtr exchange) { exchange->Reply(200, "text/plain", std::string(text)); };
}

TEST(HttpRouter, TheLongestPathWins) {
  HttpRouter router;
  router.Add("*", "/a/", Says("below a"));
  router.Add("GET", "/a/b", Says("b"));
  router.Add("GET", "/a/b/", Says("below b"));
  router.Add("GET", "/", Says("root"));
  EXPECT_EQ(Ask(router, "GET", "/a/b")->body, "b");
  EXPECT_EQ(Ask(router, "GET", "/a/b/c")->body, "below b");
  EXPECT_EQ(Ask(router, "PUT", "/a/x")->body, "below a");
  EXPECT_EQ(Ask(router, "GET", "/")->body, "root");
  EXPECT_EQ(Ask(router, "GET", "/x")->status, 404);
}

TEST(HttpRouter, AnswersUnknownPathsAndMethodsAsGoDoes) {
  HttpRouter router;
  router.Add("GET", "/health", Says("ok"));
  auto missing = Ask(router, "GET", "/nothing");
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->body, "404 page not found\n");
  EXPECT_EQ(missing->headers["x-content-type-options"], "nosniff");
  auto wrong = Ask(router, "POST", "/health");
  EXPECT_EQ(wrong->status, 405);
  EXPECT_EQ(wrong->headers["allow"], "GET");
  EXPECT_EQ(wrong->body, "Method Not Allowed\n");
}

TEST(HttpRouter, TheFilterMayAnswerOrAddHeaders) {
  HttpRouter router;
  router.Add("GET", "/x", Says("x"));
  router.SetFilter([](HttpExchange& exchange) {
    exchange.SetHeader("access-control-allow-origin", "*");
    if (exchange.request().method != "OPTIONS") return false;
    exchange.Reply(200, "", SharedBytes());
    return true;
  });
  EXPECT_EQ(Ask(router, "OPTIONS", "/nowhere")->status, 200);
  auto exchange = Ask(router, "GET", "/x");
  EXPECT_EQ(exchange->body, "x");
  EXPECT_EQ(exchange->headers["access-control-allow-origin"], "*");
}

TEST(HttpExchange, CancelComesOnceAndNotAfterTheAnswer) {
  int cancelled = 0;
  FakeExchange gone("GET", "/");
  gone.OnCancel([&] { ++cancelled; });
  gone.Cancelled();
  gone.Cancelled();
  EXPECT_EQ(cancelled, 1);
  FakeExchange answered("GET", "/");
  answered.OnCancel([&] { ++cancelled; });
  answered.Reply(200, "", SharedBytes());
  answered.Cancelled();
  EXPECT_EQ(cancelled, 1);
}

TEST(HttpExchange, DropsCallbacksThatHoldItself) {
  auto exchange = std::make_shared<FakeExchange>("GET", "/");
  exchange->OnCancel([exchange] {});
  exchange->OnDrained([exchange] {});
  EXPECT_EQ(exchange.use_count(), 3);
  exchange->Begin(200, "text/plain");
  EXPECT_FALSE(exchange->Write(SharedBytes::Copy("x")));
  exchange->End();
  EXPECT_EQ(exchange.use_count(), 1);
}

TEST(UrlDecode, DecodesAndRefuses) {
  EXPECT_EQ(UrlDecode("a%20b+c", false), "a b+c");
  EXPECT_EQ(UrlDecode("a%20b+c", true), "a b c");
  EXPECT_EQ(UrlDecode("%", false), std::nullopt);
  EXPECT_EQ(UrlDecode("%4", false), std::nullopt);
  EXPECT_EQ(UrlDecode("%41", false), "A");
}

TEST(HttpRequest, QueryKeepsOrderAndRepeats) {
  HttpRequest request;
  request.query = "exclude=A&serializable=true&exclude=B%43&flag";
  EXPECT_EQ(request.Query("exclude"), (std::vector<std::string>{"A", "BC"}));
  EXPECT_EQ(request.Query("flag"), std::vector<std::string>{""});
  EXPECT_TRUE(request.Query("none").empty());
}

}  // namespace
}  // namespace store::rpc
