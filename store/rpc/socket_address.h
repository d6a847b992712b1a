// SPDX-License-Identifier: Apache-2.0
// SocketAddress: where to listen or connect: "host:port" or "unix:path". Value type, any thread;
// Resolve may ask the name service and block, so loops call it only for what IsLiteral says is an
// address already.
#pragma once

#include "store/base/error.h"

#include <string>
#include <string_view>
#include <sys/socket.h>

namespace store::rpc {

class SocketAddress {
 public:
  // "127.0.0.1:2379", "[::1]:2379", "localhost:2379", ":2379" (every interface), "unix:/path".
  // Prefers IPv4 where a name has both, as Go does.
  static Result<SocketAddress> Resolve(std::string_view text);
  // No name service is needed.
  static bool IsLiteral(std::string_view text);
  static SocketAddress OfPeer(int fd);
  static SocketAddress OfLocal(int fd);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  int family() const { return storage_.ss_family; }
  bool is_unix() const { return storage_.ss_family == AF_UNIX; }
  uint16_t port() const;
  // "127.0.0.1:2379", "[::1]:2379", "unix:/path", "@" for a nameless unix socket.
  std::string ToString() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace store::rpc
