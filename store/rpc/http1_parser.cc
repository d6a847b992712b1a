// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/http1_parser.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace store::rpc {
namespace {

constexpr size_t kChunkLineBytesMax = 1024;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "token" of RFC 9110: what a method and a header name are made of.
bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

// Whether a comma-separated list has the token.
bool ListHas(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    if (ToLower(Trim(list.substr(0, comma))) == token) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

std::optional<uint64_t> ParseNumber(std::string_view text, int base) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Http1Parser::State Http1Parser::Feed(std::string_view* bytes) {
  if (state_ == State::kHeader) TakeHeader(bytes);
  while (state_ == State::kBody && !bytes->empty()) TakeBody(bytes);
  return state_;
}

bool Http1Parser::TakeExpectContinue() {
  return state_ == State::kBody && std::exchange(expect_continue_, false);
}

HttpRequest Http1Parser::Next() {
  HttpRequest request = std::exchange(request_, {});
  state_ = State::kHeader;
  buffer_.clear();
  trailer_bytes_ = 0;
  expect_continue_ = false;
  return request;
}

void Http1Parser::Fail(int status) {
  state_ = State::kFailed;
  status_ = status;
  keep_alive_ = false;
}

void Http1Parser::TakeHeader(std::string_view* bytes) {
  // Empty lines before a request are left over from sloppy clients (RFC 9112 section 2.2).
  while (buffer_.empty() && !bytes->empty() && (bytes->front() == '\r' || bytes->front() == '\n')) {
    bytes->remove_prefix(1);
  }
  size_t searched = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
  size_t room = header_bytes_max_ + 4 - std::min(buffer_.size(), header_bytes_max_ + 4);
  size_t taken = std::min(bytes->size(), room);
  size_t before = buffer_.size();
  buffer_.append(bytes->substr(0, taken));
  size_t end = buffer_.find("\r\n\r\n", searched);
  if (end == std::string::npos) {
    bytes->remove_prefix(taken);
    if (buffer_.size() > header_bytes_max_) Fail(431);
    return;
  }
  bytes->remove_prefix(end + 4 - before);
  buffer_.resize(end);
  std::string header = std::exchange(buffer_, {});
  ParseHeader(header);
}

void Http1Parser::ParseHeader(std::string_view header) {
  size_t line_end = header.find("\r\n");
  keep_alive_ = true;
  if (!ParseRequestLine(header.substr(0, line_end))) return;
  while (line_end != std::string_view::npos) {
    header.remove_prefix(line_end + 2);
    line_end = header.find("\r\n");
    if (!ParseHeaderLine(header.substr(0, line_end))) return Fail(400);
  }
  std::string_view connection = request_.Header("connection").value_or("");
  keep_alive_ = http_1_0_ ? ListHas(connection, "keep-alive") : !ListHas(connection, "close");
  request_.host = request_.Header("host").value_or("");
  if (!http_1_0_ && !request_.Header("host")) return Fail(400);
  BeginBody();
}

bool Http1Parser::ParseRequestLine(std::string_view line) {
  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Fail(400), false;
  std::string_view version = line.substr(last + 1);
  request_.method = line.substr(0, first);
  if (!IsToken(request_.method)) return Fail(400), false;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return Fail(version.starts_with("HTTP/") ? 505 : 400), false;
  }
  http_1_0_ = version == "HTTP/1.0";
  if (!ParseTarget(line.substr(first + 1, last - first - 1))) return Fail(400), false;
  return true;
}

bool Http1Parser::ParseTarget(std::string_view target) {
  // A proxy's absolute form names the server again.
  if (target.starts_with("http://")) {
    target.remove_prefix(7);
    size_t slash = target.find('/');
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (target.empty() || !IsFieldValue(target) || target.find(' ') != std::string_view::npos) {
    return false;
  }
  if (target.front() != '/' && target != "*") return false;
  size_t question = target.find('?');
  if (question != std::string_view::npos) request_.query = target.substr(question + 1);
  std::optional<std::string> path = UrlDecode(target.substr(0, question), false);
  if (!path) return false;
  request_.path = std::move(*path);
  return true;
}

bool Http1Parser::ParseHeaderLine(std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return false;
  std::string_view value = Trim(line.substr(colon + 1));
  if (!IsFieldValue(value)) return false;
  std::string name = ToLower(line.substr(0, colon));
  if (name == "host" && request_.Header("host")) return false;
  request_.headers.push_back({std::move(name), std::string(value)});
  return true;
}

void Http1Parser::BeginBody() {
  std::optional<std::string_view> encoding = request_.Header("transfer-encoding");
  std::optional<uint64_t> length;
  for (const HttpHeader& header : request_.headers) {
    if (header.name != "content-length") continue;
    std::optional<uint64_t> value = ParseNumber(header.value, 10);
    if (!value || (length && *length != *value)) return Fail(400);
    length = value;
  }
  if (encoding) {
    if (length || http_1_0_) return Fail(400);
    if (ToLower(*encoding) != "chunked") return Fail(501);
  }
  if (length && *length > body_bytes_max_) return Fail(413);
  if (std::optional<std::string_view> expect = request_.Header("expect")) {
    if (ToLower(*expect) != "100-continue") return Fail(417);
    expect_continue_ = true;
  }
  body_ = encoding ? BodyKind::kChunkSize : BodyKind::kLength;
  body_left_ = length.value_or(0);
  state_ = encoding || body_left_ > 0 ? State::kBody : State::kRequest;
}

void Http1Parser::TakeBody(std::string_view* bytes) {
  switch (body_) {
    case BodyKind::kChunkSize:
      return TakeChunkSize(bytes);
    case BodyKind::kChunkEnd:
      return TakeChunkEnd(bytes);
    case BodyKind::kTrailer:
      return TakeTrailer(bytes);
    case BodyKind::kLength:
    case BodyKind::kChunkData:
      break;
  }
  size_t count = std::min<uint64_t>(bytes->size(), body_left_);
  request_.body.append(bytes->substr(0, count));
  bytes->remove_prefix(count);
  body_left_ -= count;
  if (body_left_ > 0) return;
  if (body_ == BodyKind::kLength) {
    state_ = State::kRequest;
  } else {
    body_ = BodyKind::kChunkEnd;
  }
}

// A line that ends in CRLF, without it; false if its end has not come.
bool Http1Parser::TakeLine(std::string_view* bytes, std::string* line) {
  size_t newline = bytes->find('\n');
  size_t count = newline == std::string_view::npos ? bytes->size() : newline + 1;
  buffer_.append(bytes->substr(0, count));
  bytes->remove_prefix(count);
  if (buffer_.size() > kChunkLineBytesMax) {
    Fail(400);
    return false;
  }
  if (newline == std::string_view::npos) return false;
  if (!buffer_.ends_with("\r\n")) {
    Fail(400);
    return false;
  }
  *line = std::exchange(buffer_, {});
  line->resize(line->size() - 2);
  return true;
}

void Http1Parser::TakeChunkSize(std::string_view* bytes) {
  std::string line;
  if (!TakeLine(bytes, &line)) return;
  std::string_view digits = Trim(std::string_view(line).substr(0, line.find(';')));
  std::optional<uint64_t> size = ParseNumber(digits, 16);
  if (!size) return Fail(400);
  if (*size > body_bytes_max_ - request_.body.size()) return Fail(413);
  body_left_ = *size;
  body_ = *size == 0 ? BodyKind::kTrailer : BodyKind::kChunkData;
}

void Http1Parser::TakeChunkEnd(std::string_view* bytes) {
  std::string line;
  if (!TakeLine(bytes, &line)) return;
  if (!line.empty()) return Fail(400);
  body_ = BodyKind::kChunkSize;
}

void Http1Parser::TakeTrailer(std::string_view* bytes) {
  std::string line;
  if (!TakeLine(bytes, &line)) return;
  trailer_bytes_ += line.size() + 2;
  if (trailer_bytes_ > header_bytes_max_) return Fail(431);
  if (line.empty()) state_ = State::kRequest;
}

}  // namespace store::rpc
