// SPDX-License-Identifier: Apache-2.0
// FanOut: from the events of one batch (or catch-up slice) to what each watcher of an index gets.
// Events are collected once; previous values are read once per event, and only if a watcher asks;
// the events of a range and filter class are put together and encoded once, however many watchers
// share them.
//
// Lives for one batch on the owner thread: while it collects, it uses RangeGroup::hits of the
// index, which must not change until Deliveries has returned. Holds the batch's events and encoded
// bytes.
#pragma once

#include "store/mvcc/event.h"
#include "store/watch/watch_groups.h"
#include "store/watch/watch_hub.h"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace store::watch {

class FanOut {
 public:
  using Pieces = std::vector<std::shared_ptr<const WatchEvents>>;
  struct Delivery {
    Watcher* watcher;
    const Pieces* pieces;  // owned by the FanOut
    Revision last;         // of the events
    size_t events;
  };

  FanOut(const mvcc::MvccStore& store, const WatchHub::Encoder& encoder, size_t fragment_bytes_max,
         const WatcherIndex& index);
  ~FanOut();
  FanOut(const FanOut&) = delete;
  FanOut& operator=(const FanOut&) = delete;

  // Whether an event of this key and type matters to anybody. Add, if called, is for this event.
  bool Wanted(std::string_view key, mvcc::EventType type);
  // Returns the bytes it holds now for the event, its previous value included.
  size_t Add(const mvcc::Event& event);
  // For every watcher that gets something: its events from Watcher::next on. Ends the use of the
  // index.
  std::vector<Delivery> Deliveries();

 private:
  // The events of one range, filter class and first event; whole, and cut for those who can put it
  // together.
  struct Share {
    Pieces whole;
    Pieces fragments;
    std::vector<WatchEvent> events;
    Revision last;
  };

  std::shared_ptr<const mvcc::KeyValue> ReadPrevious(const mvcc::Event& event) const;
  std::unique_ptr<Share> MakeShare(std::span<const uint32_t> hits, FilterClass filter) const;
  std::shared_ptr<const WatchEvents> MakeEvents(std::span<const WatchEvent> events,
                                                bool with_prev) const;
  // Exact where a cut may be due, estimated from above where not.
  std::vector<size_t> EncodedSizes(const Share& share) const;
  const Pieces& PiecesFor(Share& share, const Watcher& watcher) const;
  // Index in `hits` of the first event at or above `from`.
  size_t FirstHit(const std::vector<uint32_t>& hits, Revision from) const;
  void Clear();

  const mvcc::MvccStore& store_;
  const WatchHub::Encoder& encoder_;
  const size_t fragment_bytes_max_;
  const WatcherIndex& index_;
  std::vector<RangeGroup*> wanting_;  // of the last Wanted
  std::vector<RangeGroup*> touched_;  // with hits
  std::vector<WatchEvent> events_;
  std::vector<std::unique_ptr<Share>> shares_;
};

}  // namespace store::watch
