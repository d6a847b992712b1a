// SPDX-License-Identifier: Apache-2.0
#include "store/base/bytes.h"

#include <algorithm>

namespace store {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

void AppendHex(std::string* out, char byte) {
  auto value = static_cast<unsigned char>(byte);
  out->push_back(kHexDigits[value >> 4]);
  out->push_back(kHexDigits[value & 15]);
}

}  // namespace

std::string ToHex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char byte : bytes) AppendHex(&out, byte);
  return out;
}

std::string Printable(std::string_view bytes, size_t bytes_max) {
  std::string out;
  out.reserve(std::min(bytes.size(), bytes_max));
  for (char byte : bytes.substr(0, bytes_max)) {
    if (byte >= ' ' && byte <= '~' && byte != '\\') {
      out.push_back(byte);
    } else if (byte == '\\') {
      out += "\\\\";
    } else {
      out += "\\x";
      AppendHex(&out, byte);
    }
  }
  if (bytes.size() > bytes_max) out += "...";
  return out;
}

}  // namespace store
