// SPDX-License-Identifier: Apache-2.0
#include "logagent/devbroker/forwarder.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* AsAddress(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Result<Forwarder> Forwarder::Listen(uint16_t port, uint16_t target_port) {
  store::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  std::string what = fmt::format("127.0.0.1:{}", port);
  if (!fd) {
    return store::Fail(store::ErrnoError(errno, what));
  }
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = Loopback(port);
  socklen_t size = sizeof address;
  if (bind(fd.get(), AsAddress(address), size) != 0 || listen(fd.get(), 64) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return store::Fail(store::ErrnoError(errno, what));
  }
  return Forwarder(std::move(fd), ntohs(address.sin_port), target_port);
}

void Forwarder::Accept() {
  store::UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client || connections_.size() >= kConnectionsMax) {
    return;
  }
  store::UniqueFd broker(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(target_port_);
  // Loopback: a blocking connect is answered at once.
  if (!broker || connect(broker.get(), AsAddress(address), sizeof address) != 0) {
    return;
  }
  Connection connection;
  connection.client = std::move(client);
  connection.broker = std::move(broker);
  connections_.push_back(std::move(connection));
}

// False when the direction is over.
bool Forwarder::Move(int from, int to, short from_events, short to_events, Pipe& pipe) {
  if ((from_events & (POLLIN | POLLHUP | POLLERR)) != 0 && pipe.buffer.empty() && !pipe.ended) {
    std::array<char, kBufferBytes> buffer;
    ssize_t count = recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) {
      pipe.buffer.assign(buffer.data(), static_cast<size_t>(count));
    } else if (count == 0 || !WouldBlock()) {
      pipe.ended = true;
    }
  }
  if (!pipe.buffer.empty() && (to_events & (POLLERR | POLLHUP)) == 0) {
    ssize_t count = send(to, pipe.buffer.data(), pipe.buffer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      pipe.buffer.erase(0, static_cast<size_t>(count));
    } else if (count < 0 && !WouldBlock()) {
      return false;
    }
  }
  return !pipe.ended || !pipe.buffer.empty();
}

Status Forwarder::Run(int stop_fd) {
  std::vector<pollfd> fds;
  while (true) {
    fds.assign({{stop_fd, POLLIN, 0}, {listener_.get(), POLLIN, 0}});
    auto events = [](const Pipe& in, const Pipe& out) {
      return static_cast<short>((in.buffer.empty() ? POLLIN : 0) |
                                (out.buffer.empty() ? 0 : POLLOUT));
    };
    for (const Connection& connection : connections_) {
      fds.push_back({connection.client.get(), events(connection.up, connection.down), 0});
      fds.push_back({connection.broker.get(), events(connection.down, connection.up), 0});
    }
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
      return store::Fail(store::ErrnoError(errno, "poll"));
    }
    if ((fds[0].revents & POLLIN) != 0) {
      return store::Ok();
    }
    std::vector<Connection> open;
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = connections_[i];
      short client = fds[2 + 2 * i].revents;
      short broker = fds[3 + 2 * i].revents;
      int client_fd = connection.client.get();
      int broker_fd = connection.broker.get();
      bool up = Move(client_fd, broker_fd, client, broker, connection.up);
      bool down = Move(broker_fd, client_fd, broker, client, connection.down);
      if (up && down) {
        open.push_back(std::move(connection));
      }
    }
    connections_ = std::move(open);
    if ((fds[1].revents & POLLIN) != 0) {
      Accept();
    }
  }
}

}  // namespace logagent
