// SPDX-License-Identifier: Apache-2.0
// RawClient: an HTTP/2 client that writes whatever bytes a test wants and reads frames as they
// come: for floods, broken frames and odd timing that no well-behaved library produces. Blocking,
// one thread, ten seconds at most per read.
#pragma once

#include "store/base/check.h"
#include "store/rpc/socket_address.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace store::rpc::test {

struct RawFrame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;
};

class RawClient {
 public:
  static constexpr uint8_t kData = 0, kHeaders = 1, kPriority = 2, kReset = 3, kSettings = 4,
                           kPing = 6, kGoaway = 7, kWindowUpdate = 8, kContinuation = 9;
  static constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8;

  explicit RawClient(const std::string& address) {
    auto resolved = SocketAddress::Resolve(address);
    CHECK(resolved.has_value());
    fd_ = socket(resolved->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval timeout{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    CHECK(connect(fd_, resolved->get(), resolved->size()) == 0);
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False when the server has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  // Sends as much as the server takes without a byte being read here; how much that was.
  size_t SendUntilBlocked(std::string_view bytes) const {
    size_t sent = 0;
    while (sent < bytes.size()) {
      ssize_t count =
          send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) {
        sent += static_cast<size_t>(count);
      } else if (count < 0 && errno == EAGAIN) {
        pollfd room{fd_, POLLOUT, 0};
        if (poll(&room, 1, kBlockedMillis) == 0) break;
      } else {
        break;
      }
    }
    return sent;
  }
  void SendPreface(std::string_view settings = {}) {
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    Send(Frame(kSettings, 0, 0, settings));
  }
  // The server's windows hold from here on.
  bool AcknowledgeSettings() {
    return ReadUntil(kSettings).has_value() && Send(Frame(kSettings, kAck, 0, ""));
  }
  static std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    std::string frame;
    auto size = static_cast<uint32_t>(payload.size());
    for (int shift : {16, 8, 0}) frame.push_back(static_cast<char>(size >> shift));
    frame.push_back(static_cast<char>(type));
    frame.push_back(static_cast<char>(flags));
    frame += Number(stream);
    frame += payload;
    return frame;
  }
  static std::string Number(uint32_t value) {
    std::string bytes;
    for (int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift));
    return bytes;
  }
  // A literal header without indexing.
  static std::string Header(std::string_view name, std::string_view value) {
    return std::string(1, '\0') + Length(name.size()) + std::string(name) + Length(value.size()) +
           std::string(value);
  }
  // A header that enters the compressor's table, or (IndexedHeader) stands for one there: 62 is the
  // newest.
  static std::string TableHeader(std::string_view name, std::string_view value) {
    return '\x40' + Length(name.size()) + std::string(name) + Length(value.size()) +
           std::string(value);
  }
  static std::string IndexedHeader(uint8_t index) {
    return std::string(1, static_cast<char>(0x80 | index));
  }
  // Headers of a gRPC request; `extra` is an already encoded block.
  static std::string Request(std::string_view path,
                             std::string_view content_type = "application/grpc",
                             std::string_view extra = {}) {
    return "\x83\x86" + Header(":path", path) + Header(":authority", "test") +
           Header("te", "trailers") + Header("content-type", content_type) + std::string(extra);
  }
  std::optional<RawFrame> Read() {
    std::string head;
    if (!ReadBytes(9, &head)) return std::nullopt;
    auto byte = [&head](size_t at) {
      return static_cast<uint32_t>(static_cast<uint8_t>(head[at]));
    };
    RawFrame frame;
    frame.type = static_cast<uint8_t>(head[3]);
    frame.flags = static_cast<uint8_t>(head[4]);
    frame.stream = (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff;
    if (!ReadBytes(byte(0) << 16 | byte(1) << 8 | byte(2), &frame.payload)) return std::nullopt;
    return frame;
  }
  // Skips frames of other types; nullopt at the end of the connection.
  std::optional<RawFrame> ReadUntil(uint8_t type) {
    std::optional<RawFrame> frame = Read();
    while (frame && frame->type != type) frame = Read();
    return frame;
  }
  int fd() const { return fd_; }

 private:
  static constexpr int kBlockedMillis = 300;

  // HPACK's integer with a prefix of seven bits.
  static std::string Length(size_t value) {
    if (value < 127) return std::string(1, static_cast<char>(value));
    std::string bytes(1, 127);
    for (value -= 127; value >= 128; value /= 128) {
      bytes.push_back(static_cast<char>(value % 128 + 128));
    }
    bytes.push_back(static_cast<char>(value));
    return bytes;
  }
  bool ReadBytes(size_t count, std::string* into) {
    into->resize(count);
    size_t have = 0;
    while (have < count) {
      ssize_t got = recv(fd_, into->data() + have, count - have, 0);
      if (got <= 0) return false;
      have += static_cast<size_t>(got);
    }
    return true;
  }

  int fd_ = -1;
};

}  // namespace store::rpc::test
