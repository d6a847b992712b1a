// SPDX-License-Identifier: Apache-2.0
#include "store/server/default_host.h"

#include "store/base/file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace store::server {

// A datagram socket that is connected has looked up its route and taken the address of its
// interface, and nothing was sent.
std::optional<std::string> FindDefaultHost() {
  constexpr const char* kSomewhere = "192.0.2.1";  // RFC 5737: nobody's, so the default route's
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  ::inet_pton(AF_INET, kSomewhere, &address.sin_addr);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::connect(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0) {
    return std::nullopt;
  }
  char text[INET_ADDRSTRLEN];
  if (::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) == nullptr) return std::nullopt;
  return text;
}

}  // namespace store::server
