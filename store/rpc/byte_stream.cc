// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/byte_stream.h"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

namespace store::rpc {
namespace {

IoAnswer Failure() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {IoResult::kWait, 0};
  if (errno == EPIPE || errno == ECONNRESET) return {IoResult::kClosed, 0};
  return {IoResult::kFailed, 0};
}

}  // namespace

PlainStream::~PlainStream() { close(fd_); }

IoAnswer PlainStream::Read(std::span<char> into) {
  ssize_t count = recv(fd_, into.data(), into.size(), 0);
  if (count > 0) return {IoResult::kDone, static_cast<size_t>(count)};
  if (count == 0) return {IoResult::kClosed, 0};
  return Failure();
}

IoAnswer PlainStream::Write(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  // As writev, but a closed peer is an answer and not a signal.
  ssize_t count = sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (count >= 0) return {IoResult::kDone, static_cast<size_t>(count)};
  return Failure();
}

void PlainStream::ShutdownWrite() { shutdown(fd_, SHUT_WR); }

}  // namespace store::rpc
