// SPDX-License-Identifier: Apache-2.0
// URLs as members, clients and flags write them: scheme://host:port, nothing behind it. Schemes
// http, https, unix, unixs. Values and pure functions, any thread; nothing here resolves names.
#pragma once

#include "store/base/error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace store {

struct Url {
  std::string scheme;  // lower case
  std::string host;    // without brackets; of unix: the path
  uint16_t port = 0;   // 0 for unix

  bool tls() const { return scheme == "https" || scheme == "unixs"; }
  bool is_unix() const { return scheme == "unix" || scheme == "unixs"; }
  // "host:port", with brackets around an IPv6 address.
  std::string Authority() const;
  // Where to listen or connect: "host:port" or "unix:path".
  std::string Address() const;
  std::string ToString() const;
  friend auto operator<=>(const Url&, const Url&) = default;
};

std::string_view TrimSpaces(std::string_view text);
// Spaces around it do not count. kInvalidArgument with the reason and the text.
Result<Url> ParseUrl(std::string_view text);
// Comma-separated, at least one; what is named twice is there once.
Result<std::vector<Url>> ParseUrls(std::string_view text);
// An IPv4 or IPv6 address, as opposed to a name.
bool IsIpAddress(const std::string& host);

}  // namespace store
