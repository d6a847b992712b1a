// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/client_call.h"

#include "store/rpc/h2_session.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>
#include <vector>

namespace store::rpc {
namespace {

// The gRPC code for a stream that ended without one (gRPC's table of HTTP/2 error codes).
RpcStatus StatusOfReset(uint32_t error_code) {
  switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
      return {GrpcCode::kUnavailable, "the server refused the stream"};
    case NGHTTP2_CANCEL:
      return {GrpcCode::kUnavailable, "the connection was closed"};
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return {GrpcCode::kResourceExhausted, "the server asks to calm down"};
    case NGHTTP2_NO_ERROR:
      return {GrpcCode::kUnknown, "the stream ended without a status"};
    default:
      return {GrpcCode::kInternal,
              fmt::format("the stream was reset: {}", nghttp2_http2_strerror(error_code))};
  }
}

GrpcCode CodeOfHttp(std::string_view status) {
  if (status == "400") return GrpcCode::kInternal;
  if (status == "401") return GrpcCode::kUnauthenticated;
  if (status == "403") return GrpcCode::kPermissionDenied;
  if (status == "404") return GrpcCode::kUnimplemented;
  if (status == "429" || status == "502" || status == "503" || status == "504") {
    return GrpcCode::kUnavailable;
  }
  return GrpcCode::kUnknown;
}

}  // namespace

ClientCall::ClientCall(EventLoop& loop, const Limits& limits, std::string path, CallOptions options)
    : loop_(loop),
      send_buffer_bytes_(limits.send_buffer_bytes),
      path_(std::move(path)),
      options_(std::move(options)),
      reader_(limits.message_bytes_max) {
  if (options_.timeout) deadline_ = loop_.Now() + *options_.timeout;
}

void ClientCall::OpenOn(H2Session& to, std::string_view authority) {
  if (over_) return;
  std::string timeout;
  std::vector<H2Header> headers = {
      {":method", "POST", true}, {":scheme", "http", true},
      {":path", path_},          {":authority", authority},
      {"te", "trailers", true},  {"content-type", "application/grpc", true}};
  if (deadline_) {
    timeout = FormatGrpcTimeout(*deadline_ - loop_.Now());
    headers.push_back({"grpc-timeout", timeout});
  }
  for (const auto& [name, value] : options_.metadata.entries()) headers.push_back({name, value});
  if (!to.Open(shared_from_this(), headers)) {
    FailLater({GrpcCode::kUnavailable, "the connection takes no more calls"});
    return;
  }
  if (!deadline_) return;
  timer_ = loop_.After(*deadline_ - loop_.Now(), [this] {
    timer_.reset();
    Abort({GrpcCode::kDeadlineExceeded, "context deadline exceeded"}, NGHTTP2_CANCEL);
  });
}

void ClientCall::FailLater(RpcStatus status) {
  loop_.Post([self = shared_from_this(), status = std::move(status)]() mutable {
    self->End(std::move(status));
  });
}

bool ClientCall::Send(const MessageBody& message) {
  if (over_ || end_queued()) return true;
  EnqueueMessage(message);
  if (attached()) session()->Resume(*this);
  if (queued_cost() <= send_buffer_bytes_) return true;
  WantDrained();
  return false;
}

void ClientCall::CloseSend() {
  EnqueueEnd();
  if (attached()) session()->Resume(*this);
}

void ClientCall::Cancel() {
  if (over_) return;
  loop_.Post([self = shared_from_this()] {
    self->Abort({GrpcCode::kCancelled, "context canceled"}, NGHTTP2_CANCEL);
  });
}

void ClientCall::OnHeaders(const HeaderBlock& headers, bool end) {
  std::string_view http_status = headers.Find(":status");
  std::string_view code_text = headers.Find("grpc-status");
  if (!code_text.empty()) {
    int code = static_cast<int>(GrpcCode::kUnknown);
    std::from_chars(code_text.data(), code_text.data() + code_text.size(), code);
    if (code < 0 || code > 16) code = static_cast<int>(GrpcCode::kUnknown);
    status_ = {static_cast<GrpcCode>(code), PercentDecode(headers.Find("grpc-message"))};
    has_status_ = true;
  } else if (!http_status.empty() && http_status != "200" && !http_status.starts_with('1')) {
    status_ = {CodeOfHttp(http_status), fmt::format("HTTP status {}", http_status)};
    has_status_ = true;
  } else if (end) {
    status_ = {GrpcCode::kInternal, "the server closed the stream without sending trailers"};
  }
}

void ClientCall::OnData(std::string_view bytes) {
  ConsumeInput(bytes.size());
  auto self = shared_from_this();
  while (!over_ && !bytes.empty()) {
    SharedBytes message;
    switch (reader_.Read(&bytes, &message)) {
      case MessageReader::Outcome::kNeedMore:
        return;
      case MessageReader::Outcome::kMessage:
        if (on_message_) on_message_(std::move(message));
        break;
      case MessageReader::Outcome::kTooLarge:
        Abort({GrpcCode::kResourceExhausted,
               fmt::format("grpc: received message larger than max ({} vs. {})",
                           reader_.announced(), reader_.bytes_max())},
              NGHTTP2_CANCEL);
        return;
      case MessageReader::Outcome::kCompressed:
        Abort({GrpcCode::kInternal, "grpc: compressed flag set with identity or empty encoding"},
              NGHTTP2_CANCEL);
        return;
    }
  }
}

void ClientCall::OnRemoteEnd() {
  if (!has_status_) {
    status_ = {GrpcCode::kInternal, "the server closed the stream without sending trailers"};
  }
  auto self = shared_from_this();
  // The answer is complete: what we have not sent nobody will read.
  if (attached() && !end_queued()) session()->Reset(*this, NGHTTP2_CANCEL);
  End(std::move(status_));
}

void ClientCall::OnQueueDrained() {
  if (!over_ && on_drained_) on_drained_();
}

void ClientCall::OnStreamClosed(uint32_t error_code) {
  if (!over_) End(has_status_ ? std::move(status_) : StatusOfReset(error_code));
}

void ClientCall::Abort(RpcStatus status, uint32_t error_code) {
  if (over_) return;
  auto self = shared_from_this();
  if (attached()) session()->Reset(*this, error_code);
  End(std::move(status));
}

void ClientCall::End(RpcStatus status) {
  if (over_) return;
  over_ = true;
  if (timer_) loop_.Cancel(*timer_);
  timer_.reset();
  // A callback may be running at this moment and holds this call: they go when the turn is over.
  loop_.Post([self = shared_from_this(), status = std::move(status)] {
    auto on_finish = std::move(self->on_finish_);
    self->on_finish_ = nullptr;
    self->on_message_ = nullptr;
    self->on_drained_ = nullptr;
    if (on_finish) on_finish(status);
  });
}

}  // namespace store::rpc
