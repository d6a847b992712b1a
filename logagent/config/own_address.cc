// SPDX-License-Identifier: Apache-2.0
#include "logagent/config/own_address.h"

#include "store/base/file.h"

#include <arpa/inet.h>
#include <concepts>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <string_view>
#include <sys/socket.h>

namespace logagent {
namespace {

std::optional<std::string> AddressText(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* bytes = nullptr;
  if (address->sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  } else if (address->sa_family == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  } else {
    return std::nullopt;
  }
  if (::inet_ntop(address->sa_family, bytes, text, sizeof(text)) == nullptr) return std::nullopt;
  return std::string(text);
}

// The local end of a socket that is connected there; UDP, so no packet leaves.
std::optional<std::string> RouteTowards(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return std::nullopt;
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    store::UniqueFd fd(::socket(one->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), one->ai_addr, one->ai_addrlen) != 0) continue;
    sockaddr_storage local{};
    socklen_t size = sizeof(local);
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &size) != 0) continue;
    return AddressText(reinterpret_cast<sockaddr*>(&local));
  }
  return std::nullopt;
}

std::optional<std::string> RouteTowards(std::string_view endpoint) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (endpoint.starts_with(scheme)) endpoint.remove_prefix(scheme.size());
  }
  size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = endpoint.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return RouteTowards(std::string(host), std::string(endpoint.substr(colon + 1)));
}

template <class Visit>
  requires std::invocable<Visit, const ifaddrs&, std::string>
void EachAddress(Visit visit) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return;
  std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    bool usable = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || one->ifa_addr == nullptr) continue;
    if (auto text = AddressText(one->ifa_addr)) visit(*one, *text);
  }
}

}  // namespace

OwnAddress FindOwnAddress(const std::string& override_ip,
                          const std::vector<std::string>& store_endpoints) {
  if (!override_ip.empty()) return {override_ip, "the setting"};
  if (auto ip = RouteTowards("8.8.8.8", "80")) return {*ip, "the default route"};
  for (const std::string& endpoint : store_endpoints) {
    if (auto ip = RouteTowards(endpoint)) return {*ip, "the route to the store"};
  }
  std::string first;
  EachAddress([&first](const ifaddrs& one, const std::string& text) {
    if (first.empty() && one.ifa_addr->sa_family == AF_INET && !text.starts_with("169.254.")) {
      first = text;
    }
  });
  if (!first.empty()) return {first, "the first interface"};
  return {"127.0.0.1", "want of a network"};
}

std::vector<std::string> AllAddresses() {
  std::vector<std::string> all;
  EachAddress([&all](const ifaddrs&, const std::string& text) { all.push_back(text); });
  return all;
}

}  // namespace logagent
