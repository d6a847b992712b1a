// SPDX-License-Identifier: Apache-2.0
// Http1Parser: bytes of an HTTP/1.x connection in, one request at a time out. Strict where leniency
// has been used for smuggling: no folded headers, no space before a colon, no two lengths, no
// length beside chunked. One thread. Bounds: header_bytes_max for the header, body_bytes_max for
// the body, one line of a chunk 1 KiB.
#pragma once

#include "store/rpc/http_router.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace store::rpc {

class Http1Parser {
 public:
  enum class State : uint8_t {
    kHeader,   // waits for the end of the header
    kBody,     // has the header, waits for the body
    kRequest,  // a whole request; Next starts the next one
    kFailed,   // status() is the answer, then the connection ends
  };

  Http1Parser(size_t header_bytes_max, size_t body_bytes_max)
      : header_bytes_max_(header_bytes_max), body_bytes_max_(body_bytes_max) {}

  // Takes from the front of `bytes` what belongs to the present request.
  State Feed(std::string_view* bytes);
  State state() const { return state_; }
  int status() const { return status_; }
  // Not a byte of the next request has come.
  bool idle() const { return state_ == State::kHeader && buffer_.empty(); }
  // Kept of the present request.
  size_t held_bytes() const { return buffer_.size() + request_.body.size(); }
  // The client waits for "100 Continue" before it sends the body. True once.
  bool TakeExpectContinue();
  bool keep_alive() const { return keep_alive_; }
  bool http_1_0() const { return http_1_0_; }

  // In kRequest: the request (peer, executor and loop are left to the caller); begins the next.
  HttpRequest Next();

 private:
  enum class BodyKind : uint8_t { kLength, kChunkSize, kChunkData, kChunkEnd, kTrailer };

  void TakeHeader(std::string_view* bytes);
  void ParseHeader(std::string_view header);
  bool ParseRequestLine(std::string_view line);
  bool ParseTarget(std::string_view target);
  bool ParseHeaderLine(std::string_view line);
  void BeginBody();
  void TakeBody(std::string_view* bytes);
  bool TakeLine(std::string_view* bytes, std::string* line);
  void TakeChunkSize(std::string_view* bytes);
  void TakeChunkEnd(std::string_view* bytes);
  void TakeTrailer(std::string_view* bytes);
  void Fail(int status);

  size_t header_bytes_max_;
  size_t body_bytes_max_;
  State state_ = State::kHeader;
  int status_ = 0;
  std::string buffer_;  // header so far; then the present line of a chunked body
  HttpRequest request_;
  BodyKind body_ = BodyKind::kLength;
  uint64_t body_left_ = 0;
  size_t trailer_bytes_ = 0;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool expect_continue_ = false;
};

}  // namespace store::rpc
