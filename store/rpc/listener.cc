// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/listener.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace store::rpc {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr int kBacklog = 4096;
constexpr Duration kRestTime = std::chrono::milliseconds(100);

void Set(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

void PrepareAccepted(int fd, bool tcp) {
  if (!tcp) return;
  Set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  Set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  Set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  Set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
}

Error ListenError(const std::string& address, int error_number) {
  if (error_number == EADDRINUSE) {
    return Error(ErrorCode::kBusy,
                 fmt::format("listen {}: address already in use (another server is running there)",
                             address));
  }
  return ErrnoError(error_number, fmt::format("listen {}", address));
}

// A socket file whose server is gone is in nobody's way.
void RemoveDeadSocket(const SocketAddress& address, const std::string& path) {
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  if (connect(probe, address.get(), address.size()) != 0 && errno == ECONNREFUSED) {
    unlink(path.c_str());
  }
  close(probe);
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Open(const std::string& text) {
  Result<SocketAddress> address = SocketAddress::Resolve(text);
  if (!address) return Fail(address.error());
  std::string unix_path;
  if (address->is_unix()) {
    unix_path = text.substr(std::strlen("unix:"));
    RemoveDeadSocket(*address, unix_path);
  }
  int fd = socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail(ListenError(text, errno));
  // Only so that a restart need not wait for the old connections' TIME_WAIT.
  if (!address->is_unix()) Set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd, address->get(), address->size()) != 0 || listen(fd, kBacklog) != 0) {
    Error error = ListenError(text, errno);
    close(fd);
    return Fail(std::move(error));
  }
  return std::unique_ptr<Listener>(
      new Listener(fd, SocketAddress::OfLocal(fd), std::move(unix_path)));
}

Listener::Listener(int fd, SocketAddress address, std::string unix_path)
    : fd_(fd), address_(address), unix_path_(std::move(unix_path)) {}

Listener::~Listener() {
  Stop();
  close(fd_);
  if (!unix_path_.empty()) unlink(unix_path_.c_str());
}

void Listener::Start(EventLoop& loop, TransportStats& stats, Accepted accepted, HasRoom has_room) {
  loop_ = &loop;
  stats_ = &stats;
  accepted_ = std::move(accepted);
  has_room_ = std::move(has_room);
  loop_->Watch(fd_, EPOLLIN, this);
}

void Listener::Stop() {
  if (loop_ == nullptr) return;
  if (rest_timer_) {
    loop_->Cancel(*rest_timer_);
    rest_timer_.reset();
  } else {
    loop_->Forget(fd_, this);
  }
  loop_ = nullptr;
}

void Listener::OnReady(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (has_room_ && !has_room_()) return Rest();
    int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      PrepareAccepted(fd, !address_.is_unix());
      accepted_(fd);
      continue;
    }
    int error = errno;
    if (error == ECONNABORTED || error == EINTR) continue;  // one client is gone already
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) Rest();
    return;
  }
}

void Listener::Rest() {
  TransportStats::Add(stats_->accept_rests);
  loop_->Forget(fd_, this);
  rest_timer_ = loop_->After(kRestTime, [this] {
    rest_timer_.reset();
    loop_->Watch(fd_, EPOLLIN, this);
  });
}

}  // namespace store::rpc
