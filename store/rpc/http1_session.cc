// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/http1_session.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace store::rpc {

// The answer to the present request. Outlives the session if its handler keeps it.
class Http1Session::Exchange final : public HttpExchange {
 public:
  Exchange(Http1Session& session, HttpRequest request, bool keep_alive, bool http_1_0)
      : session_(&session), keep_alive_(keep_alive), http_1_0_(http_1_0) {
    request_ = std::move(request);
    head_request_ = request_.method == "HEAD";
  }

  void Abandon() {
    session_ = nullptr;
    Cancelled();
  }
  void OutputDrained() {
    if (std::exchange(wants_drained_, false)) Drained();
  }
  bool wants_drained() const { return wants_drained_; }
  bool ended() const { return ended_; }
  bool keep_alive() const { return keep_alive_; }

 private:
  void SendHead(int status, std::span<const HttpHeader> headers,
                std::optional<size_t> length) override {
    if (session_ == nullptr) return;
    // HTTP/1.0 knows no chunks: there the end of the connection ends the answer.
    chunked_ = !length && !http_1_0_;
    if (!length && http_1_0_) keep_alive_ = false;
    if (session_->draining_) keep_alive_ = false;
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", status, HttpReason(status));
    for (const HttpHeader& header : headers) {
      fmt::format_to(std::back_inserter(head), "{}: {}\r\n", header.name, header.value);
    }
    if (length) fmt::format_to(std::back_inserter(head), "content-length: {}\r\n", *length);
    if (chunked_) head += "transfer-encoding: chunked\r\n";
    if (!keep_alive_) {
      head += "connection: close\r\n";
    } else if (http_1_0_) {
      head += "connection: keep-alive\r\n";
    }
    head += "\r\n";
    session_->connection_.output().Append(head);
    session_->connection_.RequestFlush();
  }

  bool SendPiece(SharedBytes piece) override {
    if (session_ == nullptr || head_request_) return true;
    OutputBuffer& output = session_->connection_.output();
    if (chunked_) output.Append(fmt::format("{:x}\r\n", piece.size()));
    output.Append(piece);
    if (chunked_) output.Append("\r\n");
    session_->connection_.RequestFlush();
    wants_drained_ = output.size() > session_->limits_.send_buffer_bytes;
    return !wants_drained_;
  }

  void SendEnd() override {
    ended_ = true;
    if (session_ == nullptr) return;
    if (chunked_ && !head_request_) session_->connection_.output().Append("0\r\n\r\n");
    // The session goes on at the end of the turn: this may run inside its own Parse.
    session_->connection_.RequestFlush();
  }

  Http1Session* session_;
  bool keep_alive_;
  bool http_1_0_;
  bool head_request_ = false;
  bool chunked_ = false;
  bool ended_ = false;
  bool wants_drained_ = false;
};

Http1Session::Http1Session(Connection& connection, const HttpRouter& router, const Limits& limits,
                           TransportStats& stats, InputPool& input)
    : connection_(connection),
      router_(router),
      limits_(limits),
      stats_(stats),
      input_(input, limits.input_bytes_max),
      parser_(limits.header_bytes_max, limits.http_body_bytes_max) {
  UpdateTimer();
}

Http1Session::~Http1Session() { DisarmTimer(); }

void Http1Session::OnBytes(std::string_view bytes) {
  ahead_.append(bytes);
  if (exchange_) {
    connection_.PauseReading(true);
  } else {
    Parse();
  }
  CountInput();
}

void Http1Session::CountInput() {
  size_t held = ahead_.size() + parser_.held_bytes();
  if (held <= input_.bytes()) {
    // The request of an exchange has left the parser, but not the memory.
    if (!exchange_) input_.Give(input_.bytes() - held);
  } else if (!input_.TryTake(held - input_.bytes())) {
    connection_.Close(CloseReason::kInputLimit);
  }
}

void Http1Session::Parse() {
  std::string_view bytes = ahead_;
  Http1Parser::State state = parser_.Feed(&bytes);
  ahead_.erase(0, ahead_.size() - bytes.size());
  if (parser_.TakeExpectContinue()) {
    connection_.output().Append("HTTP/1.1 100 Continue\r\n\r\n");
    connection_.RequestFlush();
  }
  if (state == Http1Parser::State::kRequest || state == Http1Parser::State::kFailed) {
    StartRequest();
  } else {
    UpdateTimer();
  }
}

void Http1Session::StartRequest() {
  DisarmTimer();
  TransportStats::Add(stats_.http1_requests);
  bool failed = parser_.state() == Http1Parser::State::kFailed;
  bool keep_alive = parser_.keep_alive() && !input_ended_;
  bool http_1_0 = parser_.http_1_0();
  HttpRequest request = failed ? HttpRequest{} : parser_.Next();
  request.peer = connection_.peer();
  request.executor = &connection_.loop();
  request.loop = connection_.loop().id();
  exchange_ = std::make_shared<Exchange>(*this, std::move(request), keep_alive, http_1_0);
  std::shared_ptr<Exchange> exchange = exchange_;
  if (failed) {
    exchange->ReplyError(parser_.status(),
                         fmt::format("{} {}", parser_.status(), HttpReason(parser_.status())));
  } else {
    router_.Route(exchange);
  }
}

void Http1Session::FillOutput() {
  if (!exchange_) return;
  std::shared_ptr<Exchange> exchange = exchange_;
  if (!exchange->ended()) {
    bool low = connection_.output().size() <= limits_.send_buffer_bytes / 2;
    if (exchange->wants_drained() && low) exchange->OutputDrained();
    if (!exchange->ended()) return;
  }
  // Requests sent ahead of a client's reading would pile up answers.
  if (connection_.output().size() < Connection::kOutputMark) RequestEnded();
}

void Http1Session::RequestEnded() {
  bool keep_alive = exchange_->keep_alive() && !draining_;
  exchange_.reset();
  if (!keep_alive) {
    connection_.CloseAfterFlush(CloseReason::kDone);
    return;
  }
  connection_.PauseReading(false);
  timed_state_ = Http1Parser::State::kFailed;
  UpdateTimer();
  if (!ahead_.empty()) Parse();
  CountInput();
}

bool Http1Session::WaitsForReader() const {
  return !exchange_ || exchange_->ended() || exchange_->wants_drained();
}

bool Http1Session::OnEndOfInput() {
  // A client may end its half behind its request and still read the answer.
  input_ended_ = true;
  return exchange_ != nullptr;
}

void Http1Session::StartDrain() {
  draining_ = true;
  if (!exchange_) connection_.CloseAfterFlush(CloseReason::kDone);
}

void Http1Session::OnClosed(CloseReason) {
  DisarmTimer();
  if (exchange_) std::exchange(exchange_, nullptr)->Abandon();
}

// The time for a header runs from its first byte to its last, not from byte to byte.
void Http1Session::UpdateTimer() {
  bool idle = parser_.idle();
  if (timer_ && parser_.state() == timed_state_ && idle == timed_idle_) return;
  timed_state_ = parser_.state();
  timed_idle_ = idle;
  if (idle) {
    ArmTimer(limits_.http_idle_timeout);
  } else if (timed_state_ == Http1Parser::State::kBody) {
    ArmTimer(limits_.http_body_timeout);
  } else {
    ArmTimer(limits_.http_header_timeout);
  }
}

void Http1Session::ArmTimer(Duration timeout) {
  DisarmTimer();
  timer_ = connection_.loop().After(timeout, [this] {
    timer_.reset();
    connection_.Close(CloseReason::kTimeout);
  });
}

void Http1Session::DisarmTimer() {
  if (timer_) connection_.loop().Cancel(*timer_);
  timer_.reset();
}

}  // namespace store::rpc
