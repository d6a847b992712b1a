// SPDX-License-Identifier: Apache-2.0
#include "store/base/url.h"

#include <absl/algorithm/container.h>
#include <fmt/format.h>

#include <arpa/inet.h>
#include <charconv>

namespace store {
namespace {

Result<uint16_t> ParsePort(std::string_view text, std::string_view url) {
  unsigned port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port > 65535) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("invalid port \"{}\" in URL {}", text, url));
  }
  return static_cast<uint16_t>(port);
}

// As Go's net/url reads it for etcd, but without escapes.
bool IsHostName(std::string_view text) {
  static constexpr std::string_view kNeverInAName = " %[]:?#\\^`{|}\x7f";
  return absl::c_none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < ' ' || kNeverInAName.find(c) != std::string_view::npos;
  });
}

// Without the brackets. A zone stands behind "%25".
bool IsIpv6Host(std::string_view text) {
  constexpr std::string_view kZoneMark = "%25";
  size_t mark = text.find(kZoneMark);
  std::string_view address = text.substr(0, mark);
  if (address.find(':') == std::string_view::npos) return false;
  bool zone_fits =
      mark == std::string_view::npos || IsHostName(text.substr(mark + kZoneMark.size()));
  return zone_fits && IsIpAddress(std::string(address));
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string Url::Authority() const {
  if (is_unix()) return host;
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

std::string Url::Address() const { return is_unix() ? "unix:" + host : Authority(); }

std::string Url::ToString() const { return scheme + "://" + Authority(); }

std::string_view TrimSpaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

Result<Url> ParseUrl(std::string_view text) {
  text = TrimSpaces(text);
  size_t separator = text.find("://");
  if (separator == std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("URL scheme must be http, https, unix, or unixs: {}", text));
  }
  Url url;
  for (char c : text.substr(0, separator)) url.scheme.push_back(ToLower(c));
  std::string_view rest = text.substr(separator + 3);
  if (url.is_unix()) {
    url.host = std::string(rest);
    if (rest.empty()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("no path in URL {}", text));
    }
    return url;
  }
  if (url.scheme != "http" && url.scheme != "https") {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("URL scheme must be http, https, unix, or unixs: {}", text));
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("URL must not contain a path: {}", text));
  }
  size_t colon = rest.rfind(':');
  bool in_brackets = colon != std::string_view::npos && rest.find(']', colon) != rest.npos;
  if (colon == std::string_view::npos || in_brackets) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("URL address does not have the form \"host:port\": {}", text));
  }
  std::string_view host = rest.substr(0, colon);
  bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed ? !IsIpv6Host(host) : !IsHostName(host)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("invalid host in URL {}", text));
  }
  url.host = std::string(host);
  auto port = ParsePort(rest.substr(colon + 1), text);
  RETURN_IF_ERROR(port);
  url.port = *port;
  return url;
}

Result<std::vector<Url>> ParseUrls(std::string_view text) {
  std::vector<Url> urls;
  while (true) {
    size_t comma = text.find(',');
    auto url = ParseUrl(text.substr(0, comma));
    RETURN_IF_ERROR(url);
    if (!absl::c_linear_search(urls, *url)) urls.push_back(std::move(*url));
    if (comma == std::string_view::npos) return urls;
    text.remove_prefix(comma + 1);
  }
}

bool IsIpAddress(const std::string& host) {
  unsigned char address[16];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace store
