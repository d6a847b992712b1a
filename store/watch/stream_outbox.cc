// SPDX-License-Identifier: Apache-2.0
#include "store/watch/stream_outbox.h"

#include "store/base/check.h"

namespace store::watch {

bool StreamOutbox::Offer(const WatchResponsePtr& response) {
  if (full_) return false;
  full_ = !sink_->Offer(response);
  return !full_;
}

void StreamOutbox::Answer(WatchResponsePtr response) {
  if (!Offer(response)) kept_.push_back(std::move(response));
}

bool StreamOutbox::Events(std::span<const WatchResponsePtr> pieces) {
  CHECK(!pieces.empty());
  if (!Offer(pieces.front())) return Keep(pieces);
  // The client has the beginning: the rest must reach it before anything else of this stream.
  for (const WatchResponsePtr& piece : pieces.subspan(1)) Answer(piece);
  return true;
}

bool StreamOutbox::Keep(std::span<const WatchResponsePtr> pieces) {
  const WatchEvents* last = kept_.empty() ? nullptr : kept_.back()->events.get();
  for (const WatchResponsePtr& piece : pieces) {
    if (piece->events.get() != last) kept_bytes_ += piece->events->bytes;
    last = piece->events.get();
  }
  if (!open()) return false;
  kept_.insert(kept_.end(), pieces.begin(), pieces.end());
  return true;
}

bool StreamOutbox::Notice(const WatchResponsePtr& response) { return Offer(response); }

void StreamOutbox::Drained() {
  full_ = false;
  while (!kept_.empty() && Offer(kept_.front())) kept_.pop_front();
  if (!full_) kept_bytes_ = 0;
}

}  // namespace store::watch
