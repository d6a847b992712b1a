// SPDX-License-Identifier: Apache-2.0
// ByteStream: what a connection reads from and writes to: a plain socket now, TLS over one with the
// API work. It is the only thing between the sessions and the descriptor, so that nothing above
// knows which it is. Non-blocking; used on the connection's loop; owns its descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>

namespace store::rpc {

enum class IoResult : uint8_t {
  kDone,    // `bytes` of the answer were moved
  kWait,    // nothing now; the loop says when
  kClosed,  // the peer ended its half (Read) or all of it (Write)
  kFailed,  // the connection is broken
};

struct IoAnswer {
  IoResult result = IoResult::kDone;
  size_t bytes = 0;
};

class ByteStream {
 public:
  virtual int fd() const = 0;
  virtual IoAnswer Read(std::span<char> into) = 0;
  virtual IoAnswer Write(std::span<const iovec> parts) = 0;
  // Nothing more will be written; the peer reads what is under way, then the end.
  virtual void ShutdownWrite() = 0;
  virtual ~ByteStream() = default;
};

class PlainStream final : public ByteStream {
 public:
  // Takes the descriptor of a connected, non-blocking socket.
  explicit PlainStream(int fd) : fd_(fd) {}
  ~PlainStream() override;
  PlainStream(const PlainStream&) = delete;
  PlainStream& operator=(const PlainStream&) = delete;

  int fd() const override { return fd_; }
  IoAnswer Read(std::span<char> into) override;
  IoAnswer Write(std::span<const iovec> parts) override;
  void ShutdownWrite() override;

 private:
  int fd_;
};

}  // namespace store::rpc
