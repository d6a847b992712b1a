// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/h2_exchange.h"

#include "store/rpc/h2_session.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace store::rpc {

H2Exchange::H2Exchange(const HttpRouter& router, const Limits& limits, EventLoop& loop,
                       std::shared_ptr<const PeerIdentity> peer)
    : router_(router), limits_(limits) {
  request_.peer = std::move(peer);
  request_.executor = &loop;
  request_.loop = loop.id();
}

void H2Exchange::OnHeaders(const HeaderBlock& headers, bool) {
  if (std::exchange(has_headers_, true)) return;  // trailers
  std::string_view target;
  for (size_t i = 0; i < headers.count(); ++i) {
    auto [name, value] = headers.at(i);
    if (name == ":method") {
      request_.method = value;
    } else if (name == ":path") {
      target = value;
    } else if (name == ":authority") {
      request_.host = value;
    } else if (!name.starts_with(':')) {
      request_.headers.push_back({std::string(name), std::string(value)});
    }
  }
  if (request_.host.empty()) request_.host = request_.Header("host").value_or("");
  head_request_ = request_.method == "HEAD";
  size_t question = target.find('?');
  if (question != std::string_view::npos) request_.query = target.substr(question + 1);
  std::optional<std::string> path = UrlDecode(target.substr(0, question), false);
  if (path) {
    request_.path = std::move(*path);
  } else {
    ReplyError(400, "400 Bad Request");
  }
}

void H2Exchange::OnData(std::string_view bytes) {
  ConsumeInput(bytes.size());
  if (done()) return;
  if (request_.body.size() + bytes.size() > limits_.http_body_bytes_max) {
    ReplyError(413, "http: request body too large");
    return;
  }
  if (!Keep(bytes.size())) {
    ReplyError(503, "http: too many unfinished requests on this connection");
    return;
  }
  request_.body.append(bytes);
}

void H2Exchange::OnRemoteEnd() {
  if (!done()) router_.Route(shared_from_this());
}

void H2Exchange::OnStreamClosed(uint32_t) { Cancelled(); }

void H2Exchange::SendHead(int status, std::span<const HttpHeader> headers,
                          std::optional<size_t> length) {
  if (!attached()) return;
  std::string status_text = fmt::format("{}", status);
  std::string length_text = length ? fmt::format("{}", *length) : std::string();
  std::vector<H2Header> block = {{":status", status_text}};
  if (length) block.push_back({"content-length", length_text});
  for (const HttpHeader& header : headers) block.push_back({header.name, header.value});
  session()->SubmitHeaders(*this, block, head_request_ || length == size_t{0});
}

bool H2Exchange::SendPiece(SharedBytes piece) {
  if (!attached() || head_request_) return true;
  Enqueue(std::move(piece));
  session()->Resume(*this);
  if (queued_cost() <= limits_.send_buffer_bytes) return true;
  WantDrained();
  return false;
}

void H2Exchange::SendEnd() {
  EnqueueEnd();
  if (attached()) session()->Resume(*this);
}

}  // namespace store::rpc
