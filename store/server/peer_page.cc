// SPDX-License-Identifier: Apache-2.0
#include "store/server/peer_page.h"

#include "store/base/url.h"
#include "store/rpc/socket_address.h"

#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>

#include <charconv>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace store::server {
namespace {

constexpr int kPatienceSeconds = 2;

class Socket {
 public:
  explicit Socket(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // Of connect, too, on Linux.
    timeval patience{kPatienceSeconds, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  bool Connect(const rpc::SocketAddress& address) const {
    return fd_ >= 0 && ::connect(fd_, address.get(), address.size()) == 0;
  }
  bool SendAll(std::string_view bytes) const {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Until the other side closes; nullopt when it fails, stalls or says too much.
  std::optional<std::string> ReceiveAll(size_t bytes_max) const {
    std::string all;
    char piece[16 << 10];
    for (;;) {
      ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
      if (got < 0 || all.size() > bytes_max) return std::nullopt;
      if (got == 0) return all;
      all.append(piece, static_cast<size_t>(got));
    }
  }

 private:
  int fd_;
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "HTTP/1.1 200 OK\r\n…\r\n\r\n" and the body.
std::optional<PeerPage> Parse(std::string_view answer) {
  size_t end_of_head = answer.find("\r\n\r\n");
  if (end_of_head == std::string_view::npos) return std::nullopt;
  PeerPage page;
  page.head = Lower(answer.substr(0, end_of_head + 2));
  page.body = answer.substr(end_of_head + 4);
  size_t status = page.head.find(' ');
  if (status == std::string::npos) return std::nullopt;
  const char* begin = page.head.data() + status + 1;
  auto [end, error] = std::from_chars(begin, page.head.data() + page.head.size(), page.status);
  return error == std::errc() ? std::optional(std::move(page)) : std::nullopt;
}

}  // namespace

bool PeerPageRequest::Hold(int connection) {
  MutexLock lock(mutex_);
  connection_ = connection;
  return !cancelled_;
}

// Wakes whoever waits in connect, send or recv.
void PeerPageRequest::Cancel() {
  MutexLock lock(mutex_);
  cancelled_ = true;
  if (connection_ >= 0) ::shutdown(connection_, SHUT_RDWR);
}

std::optional<PeerPage> PeerPageRequest::Get(const std::string& text, std::string_view path,
                                             raft::NodeId own, size_t bytes_max) {
  auto url = ParseUrl(text);
  if (!url || url->tls()) return std::nullopt;
  auto address = rpc::SocketAddress::Resolve(url->Address());
  if (!address) return std::nullopt;
  Socket socket(address->family());
  auto let_go = absl::MakeCleanup([this] { (void)Hold(-1); });
  if (!Hold(socket.fd()) || !socket.Connect(*address)) return std::nullopt;
  bool asked = socket.SendAll(
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nX-Server-From: {:x}\r\nConnection: close\r\n\r\n",
                  path, url->is_unix() ? "localhost" : url->Authority(), own));
  if (!asked) return std::nullopt;
  auto answer = socket.ReceiveAll(bytes_max);
  return answer ? Parse(*answer) : std::nullopt;
}

std::optional<PeerPage> GetPeerPage(const std::string& url, std::string_view path, raft::NodeId own,
                                    size_t bytes_max) {
  return PeerPageRequest().Get(url, path, own, bytes_max);
}

}  // namespace store::server
