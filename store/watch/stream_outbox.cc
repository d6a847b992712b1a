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
  if (!Offer(pieces.front())) return false;
  // The client has the beginning: the rest must reach it before anything else of this stream.
  for (const WatchResponsePtr& piece : pieces.subspan(1)) Answer(piece);
  return true;
}

bool StreamOutbox::Notice(WatchResponsePtr response) { return Offer(response); }

void StreamOutbox::Drained() {
  full_ = false;
  while (!kept_.empty() && Offer(kept_.front())) kept_.pop_front();
}

}  // namespace store::watch
