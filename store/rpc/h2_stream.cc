// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/h2_stream.h"

#include "store/rpc/h2_session.h"

#include <utility>

namespace store::rpc {

void H2Stream::Enqueue(SharedBytes bytes) {
  Part part{};
  part.bytes = std::move(bytes);
  Push(std::move(part));
}

void H2Stream::EnqueueMessage(const MessageBody& message) {
  Part first{};
  first.prefix = GrpcPrefix(message.size());
  first.prefix_bytes = kGrpcPrefixBytes;
  size_t next = 0;
  if (!message.parts().empty()) first.bytes = message.parts()[next++];
  Push(std::move(first));
  while (next < message.parts().size()) {
    Part part{};
    part.shared = true;
    part.bytes = message.parts()[next++];
    Push(std::move(part));
  }
}

void H2Stream::Push(Part part) {
  if (part.size() == 0) return;
  // Parts already sent stay in front until all are: move up before growing past them for ever.
  if (queue_head_ > 16 && queue_head_ * 2 > queue_.size()) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(queue_head_));
    queue_head_ = 0;
  }
  queued_bytes_ += part.size();
  const size_t shared = part.shared ? part.size() : 0;
  shared_bytes_ += shared;
  if (session_ != nullptr) session_->CountQueued(part.size() + kPartCostBytes, shared);
  queue_.push_back(std::move(part));
}

void H2Stream::ConsumeInput(size_t bytes) {
  if (session_ != nullptr) session_->ConsumeInput(*this, bytes);
}

bool H2Stream::Keep(size_t bytes) {
  if (session_ == nullptr || !session_->input_.TryTake(bytes)) return false;
  kept_ += bytes;
  return true;
}

void H2Stream::Release(size_t bytes) {
  if (session_ == nullptr) return;
  kept_ -= bytes;
  session_->input_.Give(bytes);
}

}  // namespace store::rpc
