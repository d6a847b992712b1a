// SPDX-License-Identifier: Apache-2.0
// StreamOutbox: the hub's side of one stream's way out. A stream that refused a response is full
// until OnDrained, and then nothing is offered, so that responses keep their order. Kept meanwhile
// are answers to requests (created, canceled; as many as the client asked for, and a transport
// reads no request while its stream is full), the rest of one response whose first fragments were
// taken already, and the events of the fan-out at which it became full, as far as they take no more
// than `kept_bytes_max`: else a stream with many watchers of one key would be filled, and all its
// watchers moved, once for every few responses. What goes beyond is refused, and the caller demotes
// the watcher. The caller offers no events of a later fan-out to a full stream, so it keeps at most
// one response of a watcher. Owner thread only.
#pragma once

#include "store/watch/watch_hub.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <span>

namespace store::watch {

class StreamOutbox {
 public:
  StreamOutbox(std::shared_ptr<WatchStream> sink, size_t kept_bytes_max)
      : kept_bytes_max_(kept_bytes_max), sink_(std::move(sink)) {}

  bool full() const { return full_; }
  // Events would be taken or kept.
  bool open() const { return kept_bytes_ <= kept_bytes_max_; }
  // An answer: offered now, or kept in order behind what waits.
  void Answer(WatchResponsePtr response);
  // The pieces of one response to a watcher, all or nothing: taken, or kept behind what waits.
  // Those that stand there for the watcher before cost nothing more. False: no room; not open any
  // more.
  bool Events(std::span<const WatchResponsePtr> pieces);
  // A notice that may be lost or repeated by the caller. False: not taken.
  bool Notice(const WatchResponsePtr& response);
  // The transport has room again: what was kept goes first.
  void Drained();

 private:
  bool Offer(const WatchResponsePtr& response);
  bool Keep(std::span<const WatchResponsePtr> pieces);

  const size_t kept_bytes_max_;
  std::shared_ptr<WatchStream> sink_;
  bool full_ = false;
  size_t kept_bytes_ = 0;              // of events that were kept, and of those refused
  std::deque<WatchResponsePtr> kept_;  // not empty only while full_
};

}  // namespace store::watch
