// SPDX-License-Identifier: Apache-2.0
// Http1Session: one HTTP/1.x connection: parses a request, routes it, sends the answer, then takes
// the next (keep-alive). A client that sends the next request early has it kept unread in the
// socket and 64 KiB here. Threads: its loop. Lifetime: owned by its Connection; the exchange is
// shared with its handler. Bounds: the parser's and the server's InputPool; one answer at a time,
// the next request only when the output is below kOutputMark; whole header, whole body and idleness
// by the timeouts of limits.h, so that a client that sends a byte a minute does not hold a
// connection for ever.
#pragma once

#include "store/rpc/connection.h"
#include "store/rpc/http1_parser.h"
#include "store/rpc/http_router.h"
#include "store/rpc/input_budget.h"
#include "store/rpc/limits.h"
#include "store/rpc/stats.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store::rpc {

class Http1Session final : public Session {
 public:
  // Router, limits, stats and pool outlive the session.
  Http1Session(Connection& connection, const HttpRouter& router, const Limits& limits,
               TransportStats& stats, InputPool& input);
  ~Http1Session() override;

  void OnBytes(std::string_view bytes) override;
  void FillOutput() override;
  bool WaitsForReader() const override;
  bool OnEndOfInput() override;
  void StartDrain() override;
  void OnClosed(CloseReason reason) override;

 private:
  class Exchange;

  void Parse();
  void StartRequest();
  void RequestEnded();
  void CountInput();
  void ArmTimer(Duration timeout);
  void DisarmTimer();
  void UpdateTimer();

  Connection& connection_;
  const HttpRouter& router_;
  const Limits& limits_;
  TransportStats& stats_;
  InputShare input_;
  Http1Parser parser_;
  std::string ahead_;  // came while a request was being answered
  std::shared_ptr<Exchange> exchange_;
  bool draining_ = false;
  bool input_ended_ = false;
  Http1Parser::State timed_state_ = Http1Parser::State::kFailed;
  bool timed_idle_ = false;
  std::optional<Executor::TimerId> timer_;
};

}  // namespace store::rpc
