// SPDX-License-Identifier: Apache-2.0
// H2Exchange: a plain HTTP request on an HTTP/2 stream (a browser, curl, a probe): collects the
// body, routes, sends the answer. Loop of its session; shared by session and handler; bounds as in
// http_router.h.
#pragma once

#include "store/rpc/event_loop.h"
#include "store/rpc/h2_stream.h"
#include "store/rpc/http_router.h"
#include "store/rpc/limits.h"

#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace store::rpc {

class H2Exchange final : public HttpExchange,
                         public H2Stream,
                         public std::enable_shared_from_this<H2Exchange> {
 public:
  // The router and limits outlive the session.
  H2Exchange(const HttpRouter& router, const Limits& limits, EventLoop& loop,
             std::shared_ptr<const PeerIdentity> peer);

  void OnHeaders(const HeaderBlock& headers, bool end) override;
  void OnData(std::string_view bytes) override;
  void OnRemoteEnd() override;
  bool SubmitTrailers() override { return false; }
  void OnQueueDrained() override { Drained(); }
  void OnStreamClosed(uint32_t error_code) override;

 private:
  void SendHead(int status, std::span<const HttpHeader> headers,
                std::optional<size_t> length) override;
  bool SendPiece(SharedBytes piece) override;
  void SendEnd() override;

  const HttpRouter& router_;
  const Limits& limits_;
  bool has_headers_ = false;
  bool head_request_ = false;
};

}  // namespace store::rpc
