// SPDX-License-Identifier: Apache-2.0
// H2Session: one HTTP/2 connection, either side, on nghttp2, which owns framing, HPACK and the
// windows. The session routes what arrives to streams, pulls what they have queued, enforces the
// budgets of limits.h and the keepalive rules, and drains on shutdown. Threads: its loop. Lifetime:
// owned by its Connection. Nothing is written by the methods themselves: they mark the connection,
// which asks FillOutput at the end of the turn. Bounds: header lists by header_bytes_max, streams
// by streams_max and by what they make us keep (input_budget.h), answers by unsent_bytes_max,
// answers to cheap frames by the budgets, CONTINUATION frames and queued acknowledgements by
// nghttp2's own limits; windows open only for consumed bytes.
#pragma once

#include "store/rpc/budget.h"
#include "store/rpc/connection.h"
#include "store/rpc/h2_stream.h"
#include "store/rpc/header_block.h"
#include "store/rpc/input_budget.h"
#include "store/rpc/limits.h"
#include "store/rpc/stats.h"

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace store::rpc {

// A header to send. `fixed`: name and value live as long as the program, nghttp2 need not copy
// them.
struct H2Header {
  std::string_view name;
  std::string_view value;
  bool fixed = false;
};

// Server side: what a new stream becomes.
class H2Acceptor {
 public:
  // Never null. OnHeaders of the stream follows, with the stream attached.
  virtual std::shared_ptr<H2Stream> Accept(H2Session& session, const HeaderBlock& headers) = 0;

 protected:
  ~H2Acceptor() = default;
};

class H2Session final : public Session {
 public:
  // A server with an acceptor, a client without. Limits, stats and pool outlive the session.
  H2Session(Connection& connection, const Limits& limits, TransportStats& stats, InputPool& input,
            H2Acceptor* acceptor);
  ~H2Session() override;

  void OnBytes(std::string_view bytes) override;
  void FillOutput() override;
  bool HasBacklog() const override;
  bool WaitsForReader() const override;
  bool OnEndOfInput() override { return false; }
  void StartDrain() override;
  void OnClosed(CloseReason reason) override;

  Connection& connection() { return connection_; }
  const Limits& limits() const { return limits_; }
  size_t streams_open() const { return streams_open_; }
  bool draining() const { return draining_; }
  // Told when the peer's first SETTINGS have arrived (client: the connection works) and on GOAWAY.
  void OnPeerReady(Action action) { on_peer_ready_ = std::move(action); }
  void OnPeerGoaway(Action action) { on_peer_goaway_ = std::move(action); }

  // Client: the peer goes away; no new streams, the connection ends with the last.
  void StopOpening() { opening_stopped_ = true; }

  // Client: sends the request headers; false if the session takes no more streams.
  bool Open(const std::shared_ptr<H2Stream>& stream, std::span<const H2Header> headers);
  // Server: response headers; the body follows from the stream's queue unless `end`.
  void SubmitHeaders(H2Stream& stream, std::span<const H2Header> headers, bool end);
  // From H2Stream::SubmitTrailers only.
  void SubmitTrailers(H2Stream& stream, std::span<const H2Header> headers);
  void Reset(H2Stream& stream, uint32_t error_code);
  // The stream has queued bytes or its end.
  void Resume(H2Stream& stream);
  void ConsumeInput(H2Stream& stream, size_t bytes);

 private:
  struct Callbacks;
  friend struct Callbacks;
  friend class H2Stream;

  void Attach(std::shared_ptr<H2Stream> stream, int32_t id);
  void Detach(H2Stream& stream, uint32_t error_code);
  void OnRequest(int32_t id, bool end);
  // False: the connection holds too much; the stream is refused and the client may try again.
  bool HasRoomForStream();
  void OnHeaderBlock(H2Stream& stream, bool end);
  void OnData(H2Stream& stream, std::string_view bytes);
  void OnRemoteEnd(H2Stream& stream);
  int OnFrame(const nghttp2_frame& frame);
  void OnFrameSent(const nghttp2_frame& frame);
  void OnPing();
  ssize_t PullData(H2Stream& stream, size_t bytes_max, uint32_t* flags);
  int WriteData(H2Stream& stream, const uint8_t* frame_header, size_t bytes);
  void NotifyDrained();
  void CountQueued(size_t bytes, size_t shared);
  void PublishUnsent(size_t bytes);
  // Ends the connection when the budget is used up.
  void Charge(Budget& budget);
  void EndWith(uint32_t error_code, std::string_view debug, CloseReason reason);
  void ArmKeepalive(Duration delay);
  void OnKeepalive();
  H2Stream* Find(int32_t id);

  Connection& connection_;
  const Limits& limits_;
  TransportStats& stats_;
  H2Acceptor* const acceptor_;
  nghttp2_session* session_ = nullptr;
  HeaderBlock headers_;
  bool headers_too_large_ = false;
  H2Stream* first_stream_ = nullptr;
  size_t streams_open_ = 0;
  InputShare input_;
  size_t unsent_bytes_ = 0;  // queued by all streams
  // Of them, what others keep too. A payload that a thousand watch streams wait to send is in
  // memory once; counted for each, it would fill the gauge and have every Range refused.
  size_t shared_bytes_ = 0;
  size_t unsent_published_ = 0;  // the part of the difference the gauge knows
  std::vector<std::shared_ptr<H2Stream>> drained_;
  bool draining_ = false;
  bool opening_stopped_ = false;
  bool ended_ = false;
  bool failed_ = false;  // a GOAWAY with an error was sent
  bool peer_ready_ = false;
  Action on_peer_ready_;
  Action on_peer_goaway_;

  Budget resets_;
  Budget settings_;
  Budget empty_frames_;

  // Keepalive of the peer, as grpc-go counts strikes.
  TimePoint last_ping_{};
  int ping_strikes_ = 0;
  bool sent_since_ping_ = false;
  // Our own.
  TimePoint last_read_{};
  bool ping_out_ = false;
  std::optional<Executor::TimerId> keepalive_timer_;
};

}  // namespace store::rpc
