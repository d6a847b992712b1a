// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/http_router.h"

#include <algorithm>

namespace store::rpc {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

std::optional<std::string> UrlDecode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded.push_back(' ');
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      int high = HexDigit(text[i + 1]);
      int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

std::string_view HttpReason(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::optional<std::string_view> HttpRequest::Header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (header.name == name) return header.value;
  }
  return std::nullopt;
}

std::vector<std::string> HttpRequest::Query(std::string_view name) const {
  std::vector<std::string> values;
  for (std::string_view pair : Split(query, '&')) {
    size_t equals = pair.find('=');
    std::optional<std::string> key = UrlDecode(pair.substr(0, equals), true);
    if (pair.empty() || !key || *key != name) continue;
    std::string_view raw =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    if (std::optional<std::string> value = UrlDecode(raw, true)) values.push_back(*value);
  }
  return values;
}

void HttpExchange::OnCancel(Action action) {
  if (!done_) on_cancel_ = std::move(action);
}

void HttpExchange::OnDrained(Action action) {
  if (!done_) on_drained_ = std::move(action);
}

void HttpExchange::SetHeader(std::string_view name, std::string_view value) {
  for (HttpHeader& header : headers_) {
    if (header.name == name) {
      header.value = value;
      return;
    }
  }
  headers_.push_back({std::string(name), std::string(value)});
}

void HttpExchange::Reply(int status, std::string_view content_type, SharedBytes body) {
  if (done_ || begun_) return;
  begun_ = true;
  if (!content_type.empty()) SetHeader("content-type", content_type);
  SendHead(status, headers_, body.size());
  if (!body.empty()) SendPiece(std::move(body));
  SendEnd();
  Finished();
}

void HttpExchange::ReplyError(int status, std::string_view text) {
  SetHeader("x-content-type-options", "nosniff");
  Reply(status, "text/plain; charset=utf-8", std::string(text) + "\n");
}

void HttpExchange::Begin(int status, std::string_view content_type) {
  if (done_ || begun_) return;
  begun_ = true;
  if (!content_type.empty()) SetHeader("content-type", content_type);
  SendHead(status, headers_, std::nullopt);
}

bool HttpExchange::Write(SharedBytes piece) {
  if (done_ || !begun_ || piece.empty()) return true;
  return SendPiece(std::move(piece));
}

void HttpExchange::End() {
  if (done_ || !begun_) return;
  SendEnd();
  Finished();
}

void HttpExchange::Cancelled() {
  if (done_) return;
  Action cancel = std::exchange(on_cancel_, nullptr);
  Finished();
  if (cancel) cancel();
}

void HttpExchange::Drained() {
  if (done_ || !on_drained_) return;
  Action action = std::exchange(on_drained_, nullptr);
  action();
  if (!done_ && !on_drained_) on_drained_ = std::move(action);
}

void HttpExchange::Finished() {
  done_ = true;
  // They may hold this exchange.
  on_cancel_ = nullptr;
  on_drained_ = nullptr;
}

bool HttpRouter::Entry::Matches(std::string_view wanted) const {
  return path.ends_with('/') && path.size() > 1 ? wanted.starts_with(path) : wanted == path;
}

bool HttpRouter::Entry::Allows(std::string_view method) const {
  return std::any_of(methods.begin(), methods.end(), [method](const std::string& allowed) {
    return allowed == "*" || allowed == method;
  });
}

void HttpRouter::Add(std::string_view methods, std::string path, Handler handler) {
  Entry entry{std::move(path), {}, std::move(handler)};
  for (std::string_view method : Split(methods, ',')) entry.methods.emplace_back(method);
  auto place = std::find_if(entries_.begin(), entries_.end(), [&entry](const Entry& other) {
    return other.path.size() < entry.path.size();
  });
  entries_.insert(place, std::move(entry));
}

void HttpRouter::Route(const HttpExchangePtr& exchange) const {
  if (filter_ && filter_(*exchange)) return;
  const HttpRequest& request = exchange->request();
  std::string allowed;
  for (const Entry& entry : entries_) {
    if (!entry.Matches(request.path)) continue;
    if (entry.Allows(request.method)) {
      entry.handler(exchange);
      return;
    }
    for (const std::string& method : entry.methods) {
      allowed += (allowed.empty() ? "" : ", ") + method;
    }
  }
  if (allowed.empty()) {
    exchange->ReplyError(404, "404 page not found");
    return;
  }
  exchange->SetHeader("allow", allowed);
  exchange->ReplyError(405, "Method Not Allowed");
}

}  // namespace store::rpc
