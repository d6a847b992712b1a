// SPDX-License-Identifier: Apache-2.0
#include "store/watch/fan_out.h"

#include "store/base/check.h"
#include "store/mvcc/mvcc_store.h"
#include "store/watch/watch_response.h"

#include <algorithm>
#include <utility>

namespace store::watch {
namespace {

// How far the watchers of a group are fetched ahead.
constexpr size_t kGroupsAhead = 4;

}  // namespace

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
    if (group->hits.empty()) {
      touched_.push_back(group);
      __builtin_prefetch(&*group->watchers.begin());
    }
    group->hits.push_back(place);
    with_prev = with_prev || group->WantsPrevious(event.type);
  }
  Hit& added = events_.emplace_back(Hit{&event, nullptr});
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
  if (events_[hits.front()].event->kv.mod >= from) return 0;
  auto below = [&](uint32_t hit) { return events_[hit].event->kv.mod < from; };
  return static_cast<size_t>(std::partition_point(hits.begin(), hits.end(), below) - hits.begin());
}

void FanOut::HandOut(absl::FunctionRef<bool(Watcher&)> wants,
                     absl::FunctionRef<void(const Delivery&)> take) {
  Shares known;
  for (size_t i = 0; i < touched_.size(); ++i) {
    if (i + kGroupsAhead < touched_.size()) {
      __builtin_prefetch(touched_[i + kGroupsAhead]->watchers.begin()->second);
    }
    known.clear();
    for (const auto& [serial, watcher] : touched_[i]->watchers) {
      if (!wants(*watcher)) continue;
      Share& share = *ShareFor(*touched_[i], *watcher, &known);
      const size_t count = share.events->events.size();
      if (count > 0) take({watcher, &PiecesFor(share, *watcher), share.last, count});
    }
  }
  Clear();
}

FanOut::Share* FanOut::ShareFor(const RangeGroup& group, const Watcher& watcher, Shares* known) {
  const size_t first = FirstHit(group.hits, watcher.next);
  const auto hits = std::span(group.hits).subspan(first);
  // Most ranges have one watcher: nobody to share with.
  if (group.watchers.size() == 1) return MakeShare(hits, watcher.filter);
  // Watchers of one range that need other first events are few: those just catching up.
  Share*& share = (*known)[{watcher.filter.bits(), first}];
  if (share == nullptr) share = MakeShare(hits, watcher.filter);
  return share;
}

FanOut::Share* FanOut::MakeShare(std::span<const uint32_t> hits, FilterClass filter) {
  Share& share = shares_.emplace_back();
  share.events = std::make_shared<WatchEvents>();
  share.events->with_prev = filter.with_prev();
  share.events->events.reserve(hits.size());
  for (uint32_t hit : hits) {
    const Hit& found = events_[hit];
    if (!filter.Wants(found.event->type)) continue;
    share.events->events.push_back({*found.event, filter.with_prev() ? found.prev : nullptr});
    share.last = found.event->kv.mod;
  }
  return &share;
}

void FanOut::Encode(WatchEvents* events) const {
  events->encoded = encoder_(events->events);
  for (const WatchEvent& event : events->events) {
    events->bytes += EventBytes(event.event, event.prev.get());
  }
  events->bytes = std::max(events->bytes, events->encoded.size());
}

std::vector<size_t> FanOut::EncodedSizes(const Share& share) const {
  const std::vector<WatchEvent>& events = share.events->events;
  std::vector<size_t> sizes;
  sizes.reserve(events.size());
  size_t bytes_max = 0;
  for (const WatchEvent& event : events) {
    bytes_max += sizes.emplace_back(EventBytes(event.event, event.prev.get()));
  }
  if (bytes_max < fragment_bytes_max_ / 2) return sizes;  // no cut either way
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = encoder_({events[i]}).size();
  return sizes;
}

const FanOut::Pieces& FanOut::PiecesFor(Share& share, const Watcher& watcher) const {
  if (watcher.fragment) {
    if (!share.fragments.empty()) return share.fragments;
    const std::vector<size_t> lengths = CutFragments(EncodedSizes(share), fragment_bytes_max_);
    if (lengths.size() > 1) {
      auto rest = share.events->events.cbegin();
      for (size_t length : lengths) {
        auto piece = std::make_shared<WatchEvents>();
        piece->with_prev = share.events->with_prev;
        piece->events.assign(rest, rest + static_cast<ptrdiff_t>(length));
        Encode(piece.get());
        share.fragments.push_back(std::move(piece));
        rest += static_cast<ptrdiff_t>(length);
      }
      return share.fragments;
    }
  }
  if (share.whole.empty()) {
    Encode(share.events.get());
    share.whole.push_back(share.events);
  }
  return share.whole;
}

}  // namespace store::watch
