// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/socket_address.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace store::rpc {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

struct HostPort {
  std::string host;
  std::string port;
};

Result<HostPort> Split(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("address {}: missing port", text));
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return HostPort{std::string(host), std::string(text.substr(colon + 1))};
}

}  // namespace

Result<SocketAddress> SocketAddress::Resolve(std::string_view text) {
  SocketAddress address;
  if (text.starts_with(kUnixPrefix)) {
    std::string_view path = text.substr(kUnixPrefix.size());
    auto* name = reinterpret_cast<sockaddr_un*>(&address.storage_);
    if (path.empty() || path.size() >= sizeof name->sun_path) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("address {}: bad path length", text));
    }
    name->sun_family = AF_UNIX;
    std::memcpy(name->sun_path, path.data(), path.size());
    address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
  }
  Result<HostPort> parts = Split(text);
  if (!parts) return Fail(parts.error());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(parts->host.empty() ? nullptr : parts->host.c_str(), parts->port.c_str(),
                           &hints, &found);
  if (failed != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("address {}: {}", text, gai_strerror(failed)));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
  const addrinfo* chosen = found;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    // All interfaces means those of IPv6 too, which one dual-stack socket takes.
    int wanted = parts->host.empty() ? AF_INET6 : AF_INET;
    if (each->ai_family == wanted) {
      chosen = each;
      break;
    }
  }
  std::memcpy(&address.storage_, chosen->ai_addr, chosen->ai_addrlen);
  address.size_ = chosen->ai_addrlen;
  return address;
}

bool SocketAddress::IsLiteral(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return true;
  Result<HostPort> parts = Split(text);
  if (!parts) return true;  // Resolve fails at once
  in6_addr address;
  return parts->host.empty() || inet_pton(AF_INET, parts->host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, parts->host.c_str(), &address) == 1;
}

SocketAddress SocketAddress::OfPeer(int fd) {
  SocketAddress address;
  address.size_ = sizeof address.storage_;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) != 0) {
    address.size_ = 0;
  }
  return address;
}

SocketAddress SocketAddress::OfLocal(int fd) {
  SocketAddress address;
  address.size_ = sizeof address.storage_;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) != 0) {
    address.size_ = 0;
  }
  return address;
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  }
  return 0;
}

std::string SocketAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, port());
  }
  if (family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);
      return fmt::format("{}:{}", text, port());
    }
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, port());
  }
  if (is_unix() && size_ > offsetof(sockaddr_un, sun_path)) {
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un*>(&storage_)->sun_path);
  }
  return "@";
}

}  // namespace store::rpc
