// SPDX-License-Identifier: Apache-2.0
// The bytes gRPC adds to HTTP/2: messages behind a five-byte prefix, the grpc-timeout header, the
// percent-encoded grpc-message trailer and the content-type.
//
//   +---------------+----------------------------+-----------+
//   | compressed: 1 | length: 4, big endian      | message   |
//   +---------------+----------------------------+-----------+
//
// Pure, any thread. A MessageReader holds at most one message of at most bytes_max; one announced
// larger is refused by its prefix, before any of its bytes is kept.
#pragma once

#include "store/base/bytes.h"
#include "store/base/clock.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store::rpc {

constexpr size_t kGrpcPrefixBytes = 5;

std::array<char, kGrpcPrefixBytes> GrpcPrefix(size_t message_bytes);

class MessageReader {
 public:
  enum class Outcome : uint8_t {
    kNeedMore,    // the input is used up
    kMessage,     // one message is out, the input begins behind it
    kTooLarge,    // announced() says how large
    kCompressed,  // the flag is set
  };

  explicit MessageReader(size_t bytes_max) : bytes_max_(bytes_max) {}

  // After kTooLarge and kCompressed the stream is of no more use.
  Outcome Read(std::string_view* input, SharedBytes* message);
  // Bytes of an unfinished message have been read.
  bool in_message() const { return prefix_size_ > 0; }
  bool prefix_complete() const { return prefix_size_ == kGrpcPrefixBytes; }
  // Size in the last complete prefix; of the present message while in one.
  size_t announced() const { return announced_; }
  size_t bytes_max() const { return bytes_max_; }

 private:
  Outcome ReadPrefix(std::string_view* input);
  void KeepBytes(std::string_view* input);

  size_t bytes_max_;
  std::array<unsigned char, kGrpcPrefixBytes> prefix_;
  uint8_t prefix_size_ = 0;
  size_t announced_ = 0;
  std::string partial_;
};

// "5S", "100m", …: nullopt if malformed. More than 8 digits are malformed; what does not fit is the
// longest duration.
std::optional<Duration> ParseGrpcTimeout(std::string_view text);
// The shortest form that is not shorter than the duration.
std::string FormatGrpcTimeout(Duration timeout);

// grpc-message: bytes outside 0x20..0x7e and '%' become %XX.
std::string PercentEncode(std::string_view text);
// Malformed escapes stay as they are.
std::string PercentDecode(std::string_view text);

// "application/grpc", with a "+suffix" or parameters.
bool IsGrpcContentType(std::string_view content_type);
// Begins as one, whatever follows.
bool LooksLikeGrpc(std::string_view content_type);

}  // namespace store::rpc
