// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/grpc_frame.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

namespace store::rpc {
namespace {

constexpr std::string_view kGrpcType = "application/grpc";

// A large message grows by what arrived: an announced size alone must not cost memory.
constexpr size_t kReserveBytesMax = 64 << 10;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// One allocation for the bytes and their reference count.
SharedBytes CopyBytes(std::string_view bytes) {
  if (bytes.empty()) return {};
  auto owner = std::make_shared_for_overwrite<char[]>(bytes.size());
  std::memcpy(owner.get(), bytes.data(), bytes.size());
  std::string_view view(owner.get(), bytes.size());
  return SharedBytes::Slice(view, std::move(owner));
}

}  // namespace

std::array<char, kGrpcPrefixBytes> GrpcPrefix(size_t message_bytes) {
  auto size = static_cast<uint32_t>(message_bytes);
  return {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
          static_cast<char>(size >> 8), static_cast<char>(size)};
}

MessageReader::Outcome MessageReader::Read(std::string_view* input, SharedBytes* message) {
  if (prefix_size_ < kGrpcPrefixBytes) {
    Outcome outcome = ReadPrefix(input);
    if (outcome != Outcome::kMessage) return outcome;
  }
  if (partial_.empty() && input->size() >= announced_) {
    *message = CopyBytes(input->substr(0, announced_));
    input->remove_prefix(announced_);
    prefix_size_ = 0;
    return Outcome::kMessage;
  }
  KeepBytes(input);
  if (partial_.size() < announced_) return Outcome::kNeedMore;
  *message = SharedBytes::Of(std::exchange(partial_, {}));
  prefix_size_ = 0;
  return Outcome::kMessage;
}

// kMessage: the prefix is complete and the message may be read.
MessageReader::Outcome MessageReader::ReadPrefix(std::string_view* input) {
  size_t count = std::min(input->size(), kGrpcPrefixBytes - prefix_size_);
  std::memcpy(prefix_.data() + prefix_size_, input->data(), count);
  input->remove_prefix(count);
  prefix_size_ = static_cast<uint8_t>(prefix_size_ + count);
  if (prefix_size_ < kGrpcPrefixBytes) return Outcome::kNeedMore;
  announced_ = static_cast<size_t>(prefix_[1]) << 24 | static_cast<size_t>(prefix_[2]) << 16 |
               static_cast<size_t>(prefix_[3]) << 8 | prefix_[4];
  if (prefix_[0] != 0) return Outcome::kCompressed;
  if (announced_ > bytes_max_) return Outcome::kTooLarge;
  return Outcome::kMessage;
}

void MessageReader::KeepBytes(std::string_view* input) {
  size_t count = std::min(input->size(), announced_ - partial_.size());
  if (partial_.empty()) partial_.reserve(std::min(announced_, std::max(count, kReserveBytesMax)));
  partial_.append(input->substr(0, count));
  input->remove_prefix(count);
}

std::optional<Duration> ParseGrpcTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  int64_t value = 0;
  const char* end = text.data() + text.size() - 1;
  if (text.front() < '0' || text.front() > '9') return std::nullopt;
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  int64_t unit = 0;
  switch (text.back()) {
    case 'H':
      unit = 3600 * int64_t{1'000'000'000};
      break;
    case 'M':
      unit = 60 * int64_t{1'000'000'000};
      break;
    case 'S':
      unit = 1'000'000'000;
      break;
    case 'm':
      unit = 1'000'000;
      break;
    case 'u':
      unit = 1'000;
      break;
    case 'n':
      unit = 1;
      break;
    default:
      return std::nullopt;
  }
  // Far more than any clock will reach, and small enough to be added to one.
  constexpr int64_t kLongest = std::numeric_limits<int64_t>::max() / 4;
  if (value > kLongest / unit) return Duration(kLongest);
  return Duration(value * unit);
}

std::string FormatGrpcTimeout(Duration timeout) {
  if (timeout <= Duration::zero()) return "0n";
  struct Unit {
    int64_t nanos;
    char name;
  };
  constexpr Unit kUnits[] = {
      {1, 'n'}, {1'000, 'u'}, {1'000'000, 'm'}, {1'000'000'000, 'S'}, {60'000'000'000, 'M'}};
  int64_t nanos = timeout.count();
  for (const Unit& unit : kUnits) {
    int64_t value = nanos / unit.nanos + (nanos % unit.nanos != 0 ? 1 : 0);
    if (value < 100'000'000) return std::to_string(value) + unit.name;
  }
  constexpr int64_t kHour = 3'600'000'000'000;
  return std::to_string(nanos / kHour + 1) + 'H';
}

std::string PercentEncode(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      encoded.push_back(c);
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      int high = HexDigit(text[i + 1]);
      int low = HexDigit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded.push_back(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    decoded.push_back(text[i]);
  }
  return decoded;
}

bool LooksLikeGrpc(std::string_view content_type) { return content_type.starts_with(kGrpcType); }

bool IsGrpcContentType(std::string_view content_type) {
  if (!LooksLikeGrpc(content_type)) return false;
  if (content_type.size() == kGrpcType.size()) return true;
  char next = content_type[kGrpcType.size()];
  return next == '+' || next == ';';
}

}  // namespace store::rpc
