// SPDX-License-Identifier: Apache-2.0
// Plain HTTP as handlers see it, whether it came over HTTP/1.1 or as a stream of HTTP/2:
// HttpRequest, HttpExchange (the answer: at once, later, or in pieces) and HttpRouter (paths to
// handlers). Threads: an exchange lives on its connection's loop, like a RawCall; the router is
// filled before the server starts and read-only afterwards. Bounds: a request's body by
// http_body_bytes_max (413 beyond); pieces of an answer by send_buffer_bytes: Write says false and
// OnDrained follows.
#pragma once

#include "store/base/bytes.h"
#include "store/base/executor.h"
#include "store/base/ids.h"
#include "store/rpc/call.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace store::rpc {

struct HttpHeader {
  std::string name;  // lower case
  std::string value;
};

struct HttpRequest {
  std::string method;
  std::string path;   // percent-decoded, without the query
  std::string query;  // as sent, without the '?'
  std::string host;
  std::vector<HttpHeader> headers;
  std::string body;
  std::shared_ptr<const PeerIdentity> peer;
  Executor* executor = nullptr;
  LoopId loop;

  // First value of a header; the name in lower case.
  std::optional<std::string_view> Header(std::string_view name) const;
  // Decoded values of a query parameter, in order.
  std::vector<std::string> Query(std::string_view name) const;
};

// %XX and, in queries, '+'. nullopt if malformed.
std::optional<std::string> UrlDecode(std::string_view text, bool plus_is_space);
std::string_view HttpReason(int status);

class HttpExchange {
 public:
  const HttpRequest& request() const { return request_; }
  HttpRequest& mutable_request() { return request_; }
  bool done() const { return done_; }
  // The client is gone; not after the answer.
  void OnCancel(Action action);
  void OnDrained(Action action);

  // For the answer to come, whatever it is; before it begins.
  void SetHeader(std::string_view name, std::string_view value);
  // The whole answer. An empty content type sends none.
  void Reply(int status, std::string_view content_type, SharedBytes body);
  void Reply(int status, std::string_view content_type, std::string body) {
    Reply(status, content_type, SharedBytes::Of(std::move(body)));
  }
  // As Go's http.Error: plain text, nosniff, a newline at the end.
  void ReplyError(int status, std::string_view text);
  // The answer in pieces: Begin, any number of Write, End.
  void Begin(int status, std::string_view content_type);
  bool Write(SharedBytes piece);
  void End();

  virtual ~HttpExchange() = default;

 protected:
  // What the protocols do. `length` is empty for an answer in pieces.
  virtual void SendHead(int status, std::span<const HttpHeader> headers,
                        std::optional<size_t> length) = 0;
  virtual bool SendPiece(SharedBytes piece) = 0;
  virtual void SendEnd() = 0;

  // Called by the protocols; each drops the callbacks when the exchange is over.
  void Cancelled();
  void Drained();

  HttpRequest request_;

 private:
  void Finished();

  std::vector<HttpHeader> headers_;
  Action on_cancel_;
  Action on_drained_;
  bool begun_ = false;
  bool done_ = false;
};
using HttpExchangePtr = std::shared_ptr<HttpExchange>;

class HttpRouter {
 public:
  using Handler = absl::AnyInvocable<void(HttpExchangePtr) const>;
  // Sees every request first, may set headers; true if it answered.
  using Filter = absl::AnyInvocable<bool(HttpExchange&) const>;

  // `methods` are separated by commas ("GET,HEAD"); "*" is all. A path that ends in '/' means
  // everything below it; the longest match wins.
  void Add(std::string_view methods, std::string path, Handler handler);
  void SetFilter(Filter filter) { filter_ = std::move(filter); }

  // Finds and calls the handler, or answers 404 or 405 as Go's server does.
  void Route(const HttpExchangePtr& exchange) const;

 private:
  struct Entry {
    std::string path;
    std::vector<std::string> methods;
    Handler handler;
    bool Matches(std::string_view wanted) const;
    bool Allows(std::string_view method) const;
  };
  std::vector<Entry> entries_;  // longest path first
  Filter filter_;
};

}  // namespace store::rpc
