// SPDX-License-Identifier: Apache-2.0
// OutputBuffer: what a connection has still to write. Small pieces are copied together, so that a
// turn's worth of frames is one run of bytes; large payloads are kept by reference and written from
// where they are. One thread; bounded by its users, who stop filling it at their own mark.
#pragma once

#include "store/base/bytes.h"

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

namespace store::rpc {

class OutputBuffer {
 public:
  void Append(std::string_view bytes);
  // Copies too if that is cheaper than one more part of a writev.
  void Append(const SharedBytes& bytes);
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // The first parts to write, as many as `parts` holds; returns how many.
  size_t Gather(std::span<iovec> parts) const;
  // `bytes` from the front were written.
  void Consume(size_t bytes);

 private:
  static constexpr size_t kBlockBytes = 16 << 10;
  static constexpr size_t kShareBytesMin = 4 << 10;

  struct Piece {
    std::string copied;
    SharedBytes shared;
    std::string_view view() const {
      return shared.empty() ? std::string_view(copied) : shared.view();
    }
  };

  std::deque<Piece> pieces_;
  size_t front_offset_ = 0;
  size_t size_ = 0;
  // The last block written, kept so that a busy connection does not allocate one each turn.
  std::string spare_;
};

}  // namespace store::rpc
