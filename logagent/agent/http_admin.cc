// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/http_admin.h"

#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;
using store::UniqueFd;

constexpr int kBacklog = 16;
constexpr int kPollMilliseconds = 1000;
constexpr int kAcceptRetryMilliseconds = 100;

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Bad Request";
  }
}

std::string Response(const HttpPage& page, bool with_body) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n"
      "Cache-Control: no-store\r\n\r\n",
      page.status, Reason(page.status), page.content_type, page.body.size());
  if (with_body) out += page.body;
  return out;
}

HttpPage ErrorPage(int status) {
  return {.status = status, .body = fmt::format("{}\n", Reason(status))};
}

store::Result<UniqueFd> Listen(const std::string& address) {
  size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", address, ::gai_strerror(error)));
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  return ListenOnFirst(found, address);
}

uint16_t PortOf(int fd) {
  sockaddr_storage local{};
  socklen_t size = sizeof(local);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) return 0;
  // The port stands at the same place in both families.
  return ntohs(reinterpret_cast<sockaddr_in*>(&local)->sin_port);
}

}  // namespace

store::Result<UniqueFd> ListenOnFirst(const addrinfo* found, const std::string& name) {
  int error_number = 0;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    UniqueFd fd(::socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int on = 1;
    if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd && ::bind(fd.get(), one->ai_addr, one->ai_addrlen) == 0 &&
        ::listen(fd.get(), kBacklog) == 0) {
      return fd;
    }
    error_number = errno;
    if (error_number != EADDRNOTAVAIL && error_number != EAFNOSUPPORT) break;
  }
  return Fail(store::ErrnoError(error_number, fmt::format("cannot listen on {}", name)));
}

store::Status HttpAdmin::Start(const std::string& address) {
  auto listener = Listen(address);
  if (!listener) return Fail(std::move(listener).error());
  listener_ = std::move(*listener);
  port_ = PortOf(listener_.get());
  wake_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_) return Fail(store::ErrnoError(errno, "eventfd"));
  thread_ = store::Thread("http-admin", [this] { Run(); });
  return Ok();
}

void HttpAdmin::Stop() {
  if (!thread_.running()) return;
  uint64_t one = 1;
  // It can only fail when the counter is full, and then it is readable already.
  [[maybe_unused]] ssize_t ignored = ::write(wake_.get(), &one, sizeof(one));
  thread_.Join();
  connections_.clear();
  listener_.Reset();
}

void HttpAdmin::Run() {
  while (true) {
    std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    bool waits = clock_.Now() < accept_after_;  // for a descriptor
    if (waits || connections_.size() >= kConnectionsMax) polled[1].events = 0;
    for (const Connection& connection : connections_) {
      polled.push_back(
          {connection.fd.get(), static_cast<int16_t>(connection.answered ? POLLOUT : POLLIN), 0});
    }
    ::poll(polled.data(), polled.size(), waits ? kAcceptRetryMilliseconds : kPollMilliseconds);
    if (polled[0].revents != 0) return;
    size_t index = 2;
    store::TimePoint now = clock_.Now();
    for (auto it = connections_.begin(); it != connections_.end(); ++index) {
      bool ready = polled[index].revents != 0;
      bool keep = now < it->until && (!ready || Advance(&*it));
      it = keep ? std::next(it) : connections_.erase(it);
    }
    if (polled[1].revents != 0) Accept();
  }
}

void HttpAdmin::Accept() {
  while (connections_.size() < kConnectionsMax) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      // Without a descriptor the connection waits, and poll would tell of it again at once.
      bool none = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
      if (!none) accept_after_ = clock_.Now() + std::chrono::milliseconds(kAcceptRetryMilliseconds);
      return;
    }
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    connection.until = clock_.Now() + kIdleLimit;
  }
}

bool HttpAdmin::Advance(Connection* connection) {
  if (!connection->answered && !Read(connection)) return false;
  return !connection->answered || Write(connection);
}

bool HttpAdmin::Read(Connection* connection) {
  char buffer[2048];
  while (true) {
    ssize_t got = ::recv(connection->fd.get(), buffer, sizeof(buffer), 0);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    connection->in.append(buffer, static_cast<size_t>(got));
    bool complete = connection->in.find("\r\n\r\n") != std::string::npos ||
                    connection->in.find("\n\n") != std::string::npos;
    bool too_large = !complete && connection->in.size() > kRequestBytesMax;
    if (!complete && !too_large) continue;
    connection->out =
        too_large ? Response(ErrorPage(431), /*with_body=*/true) : Answer(connection->in);
    connection->answered = true;
    return true;
  }
}

bool HttpAdmin::Write(Connection* connection) {
  while (connection->sent < connection->out.size()) {
    ssize_t put = ::send(connection->fd.get(), connection->out.data() + connection->sent,
                         connection->out.size() - connection->sent, MSG_NOSIGNAL);
    if (put < 0) return errno == EAGAIN || errno == EINTR;
    connection->sent += static_cast<size_t>(put);
  }
  ::shutdown(connection->fd.get(), SHUT_WR);
  return false;
}

std::string HttpAdmin::Answer(std::string_view request) {
  std::string_view line = request.substr(0, request.find_first_of("\r\n"));
  size_t method_end = line.find(' ');
  size_t target_end = line.rfind(' ');
  bool whole = method_end != std::string_view::npos && target_end > method_end &&
               line.substr(target_end + 1).starts_with("HTTP/1.");
  if (!whole) return Response(ErrorPage(400), /*with_body=*/true);
  std::string_view method = line.substr(0, method_end);
  std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
  if (method != "GET" && method != "HEAD") return Response(ErrorPage(405), /*with_body=*/true);
  auto page = pages_.find(target.substr(0, target.find('?')));
  bool with_body = method == "GET";
  if (page == pages_.end()) return Response(ErrorPage(404), with_body);
  return Response(page->second(), with_body);
}

}  // namespace logagent
