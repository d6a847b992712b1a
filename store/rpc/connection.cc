// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/connection.h"

#include "store/base/check.h"

#include <array>
#include <sys/epoll.h>
#include <utility>

namespace store::rpc {
namespace {

// One turn writes at most this much for one connection, so that a fast reader does not starve the
// others.
constexpr size_t kTurnBytesMax = 1 << 20;
constexpr Duration kLingerTime = std::chrono::seconds(1);

}  // namespace

std::string_view Name(CloseReason reason) {
  switch (reason) {
    case CloseReason::kPeerClosed:
      return "peer_closed";
    case CloseReason::kIoError:
      return "io_error";
    case CloseReason::kProtocolError:
      return "protocol_error";
    case CloseReason::kFlood:
      return "flood";
    case CloseReason::kTooManyPings:
      return "too_many_pings";
    case CloseReason::kKeepaliveTimeout:
      return "keepalive_timeout";
    case CloseReason::kTimeout:
      return "timeout";
    case CloseReason::kInputLimit:
      return "input_limit";
    case CloseReason::kDone:
      return "done";
    case CloseReason::kShutdown:
      return "shutdown";
    case CloseReason::kConnectFailed:
      return "connect_failed";
    case CloseReason::kCount:
      break;
  }
  return "unknown";
}

Connection::Connection(EventLoop& loop, std::unique_ptr<ByteStream> stream,
                       std::shared_ptr<const PeerIdentity> peer, ConnectionOwner& owner)
    : loop_(loop), stream_(std::move(stream)), peer_(std::move(peer)), owner_(owner) {}

Connection::~Connection() {
  loop_.CancelTurnEnd(this);
  if (linger_timer_) loop_.Cancel(*linger_timer_);
  if (started_) loop_.Forget(stream_->fd(), this);
}

void Connection::Start(std::unique_ptr<Session> session) {
  session_ = std::move(session);
  watched_ = EPOLLIN;
  loop_.Watch(stream_->fd(), watched_, this);
  started_ = true;
}

void Connection::SwitchTo(std::unique_ptr<Session> session, std::string bytes) {
  next_session_ = std::move(session);
  next_bytes_ = std::move(bytes);
}

void Connection::Close(CloseReason reason) {
  if (close_now_) return;
  close_now_ = reason;
  RequestFlush();
}

void Connection::CloseAfterFlush(CloseReason reason) {
  if (close_after_flush_) return;
  close_after_flush_ = reason;
  RequestFlush();
}

void Connection::PauseReading(bool paused) {
  paused_ = paused;
  if (started_) UpdateWatch();
}

void Connection::OnReady(uint32_t events) {
  if (events & EPOLLOUT) {
    write_blocked_ = false;
    RequestFlush();
  }
  // Behind the end of its input a peer may still read, but not one that is gone altogether; the
  // loop would be told of that again and again.
  if (input_ended_ && (events & (EPOLLHUP | EPOLLERR)) != 0) return Close(CloseReason::kPeerClosed);
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ReadOnce();
}

void Connection::ReadOnce() {
  if (close_now_) return;
  IoAnswer answer = stream_->Read(loop_.read_buffer());
  switch (answer.result) {
    case IoResult::kDone:
      break;
    case IoResult::kWait:
      return;
    case IoResult::kFailed:
      Close(CloseReason::kIoError);
      return;
    case IoResult::kClosed:
      input_ended_ = true;
      if (linger_timer_) Close(*close_after_flush_);
      if (!session_->OnEndOfInput()) Close(CloseReason::kPeerClosed);
      UpdateWatch();
      return;
  }
  bytes_read_ += answer.bytes;
  if (close_after_flush_) return;
  session_->OnBytes({loop_.read_buffer().data(), answer.bytes});
  while (next_session_ && !close_now_) {
    session_ = std::move(next_session_);
    std::string bytes = std::exchange(next_bytes_, {});
    session_->OnBytes(bytes);
  }
}

void Connection::OnTurnEnd() {
  if (!close_now_) Flush();
  if (close_now_) Finish(*close_now_);
}

void Connection::Flush() {
  size_t written_before = bytes_written_;
  while (!close_now_) {
    // Also for a peer that does not read: what waits must show in the output, which UpdateWatch
    // looks at.
    session_->FillOutput();
    if (write_blocked_ || output_.empty() || !WriteSome()) break;
    if (bytes_written_ - written_before >= kTurnBytesMax) {
      RequestFlush();
      break;
    }
  }
  if (close_now_) return;
  if (close_after_flush_ && output_.empty()) {
    Linger();
    return;
  }
  UpdateWatch();
}

void Connection::Linger() {
  if (linger_timer_) return;
  if (input_ended_) {
    close_now_ = close_after_flush_;
    return;
  }
  stream_->ShutdownWrite();
  linger_timer_ = loop_.After(kLingerTime, [this] {
    linger_timer_.reset();
    Close(*close_after_flush_);
  });
  UpdateWatch();
}

// False when the socket takes no more.
bool Connection::WriteSome() {
  std::array<iovec, 64> parts;
  size_t count = output_.Gather(parts);
  IoAnswer answer = stream_->Write({parts.data(), count});
  switch (answer.result) {
    case IoResult::kDone:
      bytes_written_ += answer.bytes;
      output_.Consume(answer.bytes);
      return true;
    case IoResult::kWait:
      write_blocked_ = true;
      return false;
    case IoResult::kClosed:
      Close(CloseReason::kPeerClosed);
      return false;
    case IoResult::kFailed:
      break;
  }
  Close(CloseReason::kIoError);
  return false;
}

void Connection::UpdateWatch() {
  bool full = write_blocked_ && output_.size() >= kOutputMark && session_->HasBacklog();
  bool read = !paused_ && !input_ended_ && !full;
  uint32_t wanted = (read ? EPOLLIN : 0U) | (write_blocked_ ? EPOLLOUT : 0U);
  if (wanted == watched_) return;
  watched_ = wanted;
  loop_.ChangeWatch(stream_->fd(), wanted, this);
}

void Connection::Finish(CloseReason reason) {
  loop_.Forget(stream_->fd(), this);
  started_ = false;
  session_->OnClosed(reason);
  owner_.OnConnectionClosed(this, reason);
}

}  // namespace store::rpc
