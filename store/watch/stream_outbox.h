// SPDX-License-Identifier: Apache-2.0
// StreamOutbox: the hub's side of one stream's way out. A stream that refused a response is full
// until OnDrained, and then nothing is offered, so that responses keep their order. Events are
// never kept: the caller demotes the watcher. Kept are only answers to requests (created, canceled;
// as many as the client asked for, and a transport reads no request while its stream is full) and
// the rest of one response whose first fragments were taken already, at most one per stream. Owner
// thread only.
#pragma once

#include "store/watch/watch_hub.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <span>

namespace store::watch {

class StreamOutbox {
 public:
  explicit StreamOutbox(std::shared_ptr<WatchStream> sink) : sink_(std::move(sink)) {}

  bool full() const { return full_; }
  // An answer: offered now, or kept in order behind what waits.
  void Answer(WatchResponsePtr response);
  // The pieces of one response to a watcher, all or nothing: false when not even the first one was
  // taken.
  bool Events(std::span<const WatchResponsePtr> pieces);
  // A notice that may be lost or repeated by the caller. False: not taken.
  bool Notice(WatchResponsePtr response);
  // The transport has room again: what was kept goes first.
  void Drained();

 private:
  bool Offer(const WatchResponsePtr& response);

  std::shared_ptr<WatchStream> sink_;
  bool full_ = false;
  std::deque<WatchResponsePtr> kept_;  // not empty only while full_
};

}  // namespace store::watch
