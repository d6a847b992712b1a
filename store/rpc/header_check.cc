// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/header_check.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace store::rpc {
namespace {

// About a connection, which HTTP/2 describes by frames.
constexpr std::array<std::string_view, 5> kConnectionHeaders = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool IsPseudo(std::string_view name) { return name.starts_with(':'); }

bool IsAllowedField(std::string_view name, std::string_view value) {
  if (name.empty() ||
      std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return false;
  }
  if (name == "te") return value == "trailers";
  return std::find(kConnectionHeaders.begin(), kConnectionHeaders.end(), name) ==
         kConnectionHeaders.end();
}

std::optional<uint64_t> ToLength(std::string_view value) {
  uint64_t length = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (value.empty() || error != std::errc() || end != value.data() + value.size())
    return std::nullopt;
  return length;
}

// The request's pseudo-headers, each at most once.
struct PseudoHeaders {
  std::string_view method, scheme, path;
  bool has_authority = false;

  bool Take(std::string_view name, std::string_view value) {
    if (name == ":authority") return !std::exchange(has_authority, true);
    std::string_view* place = name == ":method"   ? &method
                              : name == ":scheme" ? &scheme
                              : name == ":path"   ? &path
                                                  : nullptr;
    if (place == nullptr || !place->empty() || value.empty()) return false;
    *place = value;
    return true;
  }
  bool Complete() const {
    return nghttp2_check_method(Bytes(method), method.size()) != 0 && !scheme.empty() &&
           nghttp2_check_path(Bytes(path), path.size()) != 0 &&
           (path.starts_with('/') || (method == "OPTIONS" && path == "*"));
  }
};

}  // namespace

RequestShape CheckRequest(const HeaderBlock& headers) {
  PseudoHeaders pseudo;
  RequestShape shape;
  bool regular = false;
  for (size_t i = 0; i < headers.count(); ++i) {
    auto [name, value] = headers.at(i);
    if (IsPseudo(name)) {
      if (regular || !pseudo.Take(name, value)) return shape;
      continue;
    }
    regular = true;
    if (!IsAllowedField(name, value)) return shape;
    if (name != "content-length") continue;
    if (shape.content_length) return shape;
    shape.content_length = ToLength(value);
    if (!shape.content_length) return shape;
  }
  shape.well_formed = pseudo.Complete();
  return shape;
}

bool IsWellFormedTrailer(const HeaderBlock& headers) {
  for (size_t i = 0; i < headers.count(); ++i) {
    auto [name, value] = headers.at(i);
    if (IsPseudo(name) || !IsAllowedField(name, value)) return false;
  }
  return true;
}

bool IsHeaderValue(std::string_view value) {
  return nghttp2_check_header_value(Bytes(value), value.size()) != 0;
}

}  // namespace store::rpc
