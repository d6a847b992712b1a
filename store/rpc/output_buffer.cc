// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/output_buffer.h"

#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace store::rpc {

void OutputBuffer::Append(std::string_view bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (pieces_.empty() || !pieces_.back().shared.empty() ||
        pieces_.back().copied.size() == pieces_.back().copied.capacity()) {
      Piece& fresh = pieces_.emplace_back();
      fresh.copied = std::move(spare_);
      spare_ = {};
      fresh.copied.clear();
      if (fresh.copied.capacity() < kBlockBytes) fresh.copied.reserve(kBlockBytes);
    }
    // Never grown past its capacity: a block that moved would copy what it holds.
    std::string& block = pieces_.back().copied;
    size_t count = std::min(bytes.size(), block.capacity() - block.size());
    block.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
  }
}

void OutputBuffer::Append(const SharedBytes& bytes) {
  if (bytes.size() < kShareBytesMin) {
    Append(bytes.view());
    return;
  }
  size_ += bytes.size();
  pieces_.emplace_back().shared = bytes;
}

size_t OutputBuffer::Gather(std::span<iovec> parts) const {
  size_t count = 0;
  size_t offset = front_offset_;
  for (const Piece& piece : pieces_) {
    if (count == parts.size()) break;
    std::string_view view = piece.view().substr(offset);
    offset = 0;
    parts[count++] = {const_cast<char*>(view.data()), view.size()};
  }
  return count;
}

void OutputBuffer::Consume(size_t bytes) {
  CHECK(bytes <= size_, "{} of {}", bytes, size_);
  size_ -= bytes;
  while (bytes > 0) {
    Piece& front = pieces_.front();
    size_t left = front.view().size() - front_offset_;
    if (bytes < left) {
      front_offset_ += bytes;
      return;
    }
    bytes -= left;
    front_offset_ = 0;
    if (front.shared.empty()) spare_ = std::move(front.copied);
    pieces_.pop_front();
  }
}

}  // namespace store::rpc
