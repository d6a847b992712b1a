// SPDX-License-Identifier: Apache-2.0
// Connection: one socket with its session (HTTP/2 or HTTP/1.1). It reads when the loop says so and
// hands the bytes to the session; at the end of a turn in which the session asked for it, the
// session fills the output buffer and everything leaves in one writev. Threads: its loop only.
// Lifetime: owned by a ConnectionOwner, which is told once, at the end of a turn, that the
// connection is over and then destroys it; so nobody below a session's call finds it gone. Bounds:
// a session fills the output only up to kOutputMark; while that much waits for a peer that does not
// read and the session has a backlog behind it, nothing is read from the peer either, so its pings
// and requests cannot pile up answers.
#pragma once

#include "store/rpc/byte_stream.h"
#include "store/rpc/call.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/output_buffer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace store::rpc {

enum class CloseReason : uint8_t {
  kPeerClosed,
  kIoError,
  kProtocolError,
  kFlood,  // more resets, settings or other cheap frames than the budget
  kTooManyPings,
  kKeepaliveTimeout,  // a ping was not answered
  kTimeout,           // no request, or half a one, for too long
  kInputLimit,        // HTTP/1.1: no room for more of its request
  kDone,              // the last answer said so (HTTP/1.1 close, GOAWAY and no stream left)
  kShutdown,          // the server stopped and the grace is over
  kConnectFailed,
  kCount,
};
std::string_view Name(CloseReason reason);

// Protocol half of a connection. All calls on the loop; none of them may destroy it.
class Session {
 public:
  virtual void OnBytes(std::string_view bytes) = 0;
  // Moves what is ready into the connection's output, at most up to kOutputMark.
  virtual void FillOutput() = 0;
  // Frames that FillOutput left behind are many.
  virtual bool HasBacklog() const { return false; }
  // Its calls have their answers, or wait for the peer to read: only the peer can go on here.
  virtual bool WaitsForReader() const { return false; }
  // The peer will send no more. False: close now.
  virtual bool OnEndOfInput() = 0;
  // Take no new requests; ask for Close when the last is answered.
  virtual void StartDrain() = 0;
  // The socket is gone. The last call.
  virtual void OnClosed(CloseReason reason) = 0;
  virtual ~Session() = default;
};

class Connection;

class ConnectionOwner {
 public:
  // At the end of a turn; destroys the connection.
  virtual void OnConnectionClosed(Connection* connection, CloseReason reason) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : private Pollable, private TurnHook {
 public:
  static constexpr size_t kOutputMark = 256 << 10;

  Connection(EventLoop& loop, std::unique_ptr<ByteStream> stream,
             std::shared_ptr<const PeerIdentity> peer, ConnectionOwner& owner);
  ~Connection();

  // Starts reading.
  void Start(std::unique_ptr<Session> session);
  // Another session takes over, beginning with `bytes`, when the present one has returned.
  void SwitchTo(std::unique_ptr<Session> session, std::string bytes);

  EventLoop& loop() { return loop_; }
  const std::shared_ptr<const PeerIdentity>& peer() const { return peer_; }
  OutputBuffer& output() { return output_; }
  Session* session() { return session_.get(); }
  bool closing() const { return close_now_.has_value(); }
  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t bytes_written() const { return bytes_written_; }

  // The session has something to send.
  void RequestFlush() { loop_.AtTurnEnd(this); }
  // The socket goes at the end of this turn; what was not written is lost.
  void Close(CloseReason reason);
  // The same, when the output has been written and the peer has closed its half too, at most a
  // second later: a socket closed over unread input resets, and the peer would lose our last words.
  void CloseAfterFlush(CloseReason reason);
  // A session that cannot take more bytes for now.
  void PauseReading(bool paused);

 private:
  void OnReady(uint32_t events) override;
  void OnTurnEnd() override;
  void ReadOnce();
  void Flush();
  bool WriteSome();
  void UpdateWatch();
  void Linger();
  void Finish(CloseReason reason);

  EventLoop& loop_;
  std::unique_ptr<ByteStream> stream_;
  std::shared_ptr<const PeerIdentity> peer_;
  ConnectionOwner& owner_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Session> next_session_;
  std::string next_bytes_;
  OutputBuffer output_;
  uint32_t watched_ = 0;
  bool started_ = false;
  bool paused_ = false;
  bool input_ended_ = false;
  bool write_blocked_ = false;
  std::optional<Executor::TimerId> linger_timer_;
  std::optional<CloseReason> close_now_;
  std::optional<CloseReason> close_after_flush_;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
};

}  // namespace store::rpc
