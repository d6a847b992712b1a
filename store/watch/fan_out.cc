// SPDX-License-Identifier: Apache-2.0
#include "store/watch/fan_out.h"

#include "store/base/check.h"
#include "store/mvcc/mvcc_store.h"
#include "store/watch/watch_response.h"

#include <algorithm>
#include <map>
#include <utility>

namespace store::watch {

FanOut::FanOut(const mvcc::MvccStore& store, const WatchHub::Encoder& encoder,
               size_t fragment_bytes_max, const WatcherIndex& index)
    : store_(store), encoder_(encoder), fragment_bytes_max_(fragment_bytes_max), index_(index) {}

FanOut::~FanOut() { Clear(); }

void FanOut::Clear() {
  for (RangeGroup* group : touched_) group->hits.clear();
  touched_.clear();
}

bool FanOut::Wanted(std::string_view key, mvcc::EventType type) {
  wanting_.clear();
  index_.Match(key, [&](RangeGroup& group) {
    if (group.Wants(type)) wanting_.push_back(&group);
  });
  return !wanting_.empty();
}

size_t FanOut::Add(const mvcc::Event& event) {
  const auto place = static_cast<uint32_t>(events_.size());
  bool with_prev = false;
  for (RangeGroup* group : wanting_) {
    if (group->hits.empty()) touched_.push_back(group);
    group->hits.push_back(place);
    with_prev = with_prev || group->WantsPrevious(event.type);
  }
  WatchEvent& added = events_.emplace_back(WatchEvent{event, nullptr});
  if (with_prev) added.prev = ReadPrevious(event);
  return EventBytes(event, added.prev.get());
}

std::shared_ptr<const mvcc::KeyValue> FanOut::ReadPrevious(const mvcc::Event& event) const {
  if (!MayHavePrevious(event)) return nullptr;
  // The previous value is the key's at mod - 1, and that revision may be compacted. Said by the
  // logical compaction and not by what is left in the engine, so that all members answer alike.
  if (event.kv.mod - 1 < store_.compacted()) return nullptr;
  // A change that replaced one of its own revision: what was before both, if anything, is not
  // told by the records.
  const bool of_its_own = event.previous.main == event.kv.mod;
  auto record = of_its_own ? store_.View().Get(event.kv.key.view(), event.kv.mod - 1)
                           : store_.ReadRecord(event.previous);
  if (!record && record.error().code() == ErrorCode::kCompacted) return nullptr;  // meanwhile
  CHECK(record, "prev_kv of revision {}: {}", event.kv.mod, record.error().ToString());
  if (!record->has_value()) return nullptr;  // none, or compacted meanwhile
  return std::make_shared<const mvcc::KeyValue>(std::move(**record));
}

size_t FanOut::FirstHit(const std::vector<uint32_t>& hits, Revision from) const {
  if (events_[hits.front()].event.kv.mod >= from) return 0;
  auto below = [&](uint32_t hit) { return events_[hit].event.kv.mod < from; };
  return static_cast<size_t>(std::partition_point(hits.begin(), hits.end(), below) - hits.begin());
}

std::vector<FanOut::Delivery> FanOut::Deliveries() {
  std::vector<Delivery> deliveries;
  for (const RangeGroup* group : touched_) {
    // Watchers of one range that need other first events are few: those just catching up.
    std::map<std::pair<uint8_t, size_t>, Share*> known;
    for (const auto& [serial, watcher] : group->watchers) {
      const size_t first = FirstHit(group->hits, watcher->next);
      Share*& share = known[{watcher->filter.bits(), first}];
      if (share == nullptr) {
        shares_.push_back(MakeShare(std::span(group->hits).subspan(first), watcher->filter));
        share = shares_.back().get();
      }
      if (share->events.empty()) continue;
      deliveries.push_back(
          {watcher, &PiecesFor(*share, *watcher), share->last, share->events.size()});
    }
  }
  Clear();
  return deliveries;
}

std::unique_ptr<FanOut::Share> FanOut::MakeShare(std::span<const uint32_t> hits,
                                                 FilterClass filter) const {
  auto share = std::make_unique<Share>();
  for (uint32_t hit : hits) {
    const WatchEvent& event = events_[hit];
    if (!filter.Wants(event.event.type)) continue;
    share->events.push_back({event.event, filter.with_prev() ? event.prev : nullptr});
    share->last = event.event.kv.mod;
  }
  return share;
}

std::shared_ptr<const WatchEvents> FanOut::MakeEvents(std::span<const WatchEvent> events,
                                                      bool with_prev) const {
  auto made = std::make_shared<WatchEvents>();
  made->events.assign(events.begin(), events.end());
  made->with_prev = with_prev;
  made->encoded = encoder_(made->events);
  for (const WatchEvent& event : events) made->bytes += EventBytes(event.event, event.prev.get());
  made->bytes = std::max(made->bytes, made->encoded.size());
  return made;
}

std::vector<size_t> FanOut::EncodedSizes(const Share& share) const {
  std::vector<size_t> sizes;
  sizes.reserve(share.events.size());
  size_t bytes_max = 0;
  for (const WatchEvent& event : share.events) {
    bytes_max += sizes.emplace_back(EventBytes(event.event, event.prev.get()));
  }
  if (bytes_max < fragment_bytes_max_ / 2) return sizes;  // no cut either way
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = encoder_({share.events[i]}).size();
  return sizes;
}

const FanOut::Pieces& FanOut::PiecesFor(Share& share, const Watcher& watcher) const {
  const bool with_prev = watcher.filter.with_prev();
  if (watcher.spec.fragment) {
    if (!share.fragments.empty()) return share.fragments;
    const std::vector<size_t> lengths = CutFragments(EncodedSizes(share), fragment_bytes_max_);
    if (lengths.size() > 1) {
      std::span<const WatchEvent> rest = share.events;
      for (size_t length : lengths) {
        share.fragments.push_back(MakeEvents(rest.first(length), with_prev));
        rest = rest.subspan(length);
      }
      return share.fragments;
    }
  }
  if (share.whole.empty()) share.whole.push_back(MakeEvents(share.events, with_prev));
  return share.whole;
}

}  // namespace store::watch
