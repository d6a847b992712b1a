// SPDX-License-Identifier: Apache-2.0
// FanOut: from the events of one batch (or catch-up slice) to what each watcher of an index gets.
// Events are collected once; previous values are read once per event, and only if a watcher asks;
// the events of a range and filter class are put together and encoded once, however many watchers
// share them.
//
// Lives for one batch on the owner thread: while it collects, it uses RangeGroup::hits of the
// index, which must not change until HandOut has returned. Holds the events given with AddOwned,
// and what was put together and encoded for those who took it.
#pragma once

#include "store/mvcc/event.h"
#include "store/watch/watch_groups.h"
#include "store/watch/watch_hub.h"

#include <absl/container/inlined_vector.h>
#include <absl/functional/function_ref.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace store::watch {

class FanOut {
 public:
  using Pieces = absl::InlinedVector<std::shared_ptr<const WatchEvents>, 1>;
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
  // The event must stay where it is for the life of the FanOut. Returns its bytes, its previous
  // value included.
  size_t Add(const mvcc::Event& event);
  size_t AddOwned(mvcc::Event event) { return Add(owned_.emplace_back(std::move(event))); }
  // `take` for every watcher that gets something: its events from Watcher::next on. `wants` is
  // asked before; for whom it refuses nothing is put together. Ends the use of the index.
  void HandOut(absl::FunctionRef<bool(Watcher&)> wants,
               absl::FunctionRef<void(const Delivery&)> take);

 private:
  struct Hit {
    const mvcc::Event* event;
    std::shared_ptr<const mvcc::KeyValue> prev;
  };
  // The events of one range, filter class and first event; whole, and cut for those who can put it
  // together. `events` is not encoded until it stands in `whole`.
  struct Share {
    std::shared_ptr<WatchEvents> events;
    Pieces whole;
    Pieces fragments;
    Revision last;
  };
  // Shares of one group by filter class and first hit.
  using Shares = std::map<std::pair<uint8_t, size_t>, Share*>;

  std::shared_ptr<const mvcc::KeyValue> ReadPrevious(const mvcc::Event& event) const;
  Share* ShareFor(const RangeGroup& group, const Watcher& watcher, Shares* known);
  Share* MakeShare(std::span<const uint32_t> hits, FilterClass filter);
  void Encode(WatchEvents* events) const;
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
  std::vector<Hit> events_;
  std::deque<mvcc::Event> owned_;
  std::deque<Share> shares_;
};

}  // namespace store::watch
