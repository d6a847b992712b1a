// SPDX-License-Identifier: Apache-2.0
#include "store/watch/hub_core.h"

#include "store/base/check.h"
#include "store/watch/watch_response.h"

#include <algorithm>

namespace store::watch {
namespace {

// Texts of etcd that clients compare.
constexpr char kEmptyRange[] = "mvcc: watcher range is empty";
constexpr char kDuplicateId[] = "mvcc: duplicate watch ID provided on the WatchStream";
constexpr char kNegativeStart[] = "etcdserver: mvcc: required revision has been compacted";
// Ours: etcd has no such limit.
constexpr char kTooMany[] = "etcdserver: too many watchers";

// How far the look-up of an event is prepared ahead.
constexpr size_t kEventsAhead = 4;

// What one watcher costs in the stream's map, its group and the indexes by key, and the response
// that its stream may keep for it.
size_t CostOf(const WatchSpec& spec) {
  return sizeof(Watcher) + sizeof(WatchResponse) + 288 +
         2 * (spec.range.from.size() + spec.range.to.size());
}

// What the id of a watcher that a compaction canceled costs until the client cancels it too.
constexpr size_t kCompactedCost = 64;

bool IsTaken(const StreamState& stream, WatchId id) {
  return stream.watchers.contains(id) || stream.compacted.contains(id);
}

}  // namespace

HubCore::HubCore(const WatchLimits& limits, const mvcc::MvccStore& store, const Clock& clock,
                 WatchHub::Encoder encoder)
    : limits_(limits),
      store_(store),
      clock_(clock),
      encoder_(std::move(encoder)),
      current_(store.current()),
      catch_up_(limits_, store, clock) {}

StreamState* HubCore::Find(StreamId id) {
  auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.get();
}

void HubCore::Open(StreamId id, std::shared_ptr<WatchStream> sink) {
  auto stream = std::make_unique<StreamState>(id, std::move(sink), limits_.kept_bytes_max);
  const bool fresh = streams_.emplace(id, std::move(stream)).second;
  CHECK(fresh, "watch stream {} opened twice", id);
}

void HubCore::Close(StreamId id) {
  StreamState* stream = Find(id);
  if (stream == nullptr) return;
  while (!stream->watchers.empty()) Remove(*stream->watchers.begin()->second);
  watcher_bytes_ -= kCompactedCost * stream->compacted.size();
  progress_waiting_.erase(id);
  filled_.erase(id);
  streams_.erase(id);
}

void HubCore::Answer(StreamState& stream, WatchResponsePtr response) {
  const bool was_full = stream.outbox.full();
  stream.told = std::max(stream.told, response->header);
  stream.outbox.Answer(std::move(response));
  if (was_full || !stream.outbox.full()) return;
  filled_.insert(stream.id);
  ParkFilled(current_ + 1);
}

std::string HubCore::RefusalOf(const StreamState& stream, const WatchSpec& spec) const {
  if (spec.start < Revision(0)) return kNegativeStart;
  if (spec.range.Empty()) return kEmptyRange;
  if (spec.id != kAutoWatch && IsTaken(stream, spec.id)) return kDuplicateId;
  if (watcher_bytes_ + CostOf(spec) > limits_.watcher_bytes_max) return kTooMany;
  return {};
}

WatchId HubCore::TakeAutoId(StreamState& stream) const {
  while (IsTaken(stream, stream.next_auto_id)) ++stream.next_auto_id;
  return stream.next_auto_id++;
}

void HubCore::Create(StreamId id, WatchSpec spec, Revision published) {
  StreamState* stream = Find(id);
  if (stream == nullptr) return;
  if (std::string reason = RefusalOf(*stream, spec); !reason.empty()) {
    Answer(*stream, RefusedResponse(published, std::move(reason)));
    return;
  }
  if (spec.id == kAutoWatch) spec.id = TakeAutoId(*stream);
  Answer(*stream, CreatedResponse(spec.id, published));
  const Revision compacted = store_.compacted();
  if (spec.start && spec.start < compacted) {
    KeepId(*stream, spec.id);
    Answer(*stream, CompactedResponse(spec.id, compacted));
    return;
  }
  auto watcher = std::make_unique<Watcher>();
  watcher->stream = stream;
  watcher->serial = next_serial_++;
  watcher->id = spec.id;
  watcher->filter = FilterClass::Of(spec);
  watcher->fragment = spec.fragment;
  watcher->next = spec.start ? spec.start : published + 1;
  watcher->spec = std::move(spec);
  if (watcher->spec.progress_notify) AddNotice(*stream);
  groups_.Place(*watcher, current_);
  ++watchers_;
  watcher_bytes_ += CostOf(watcher->spec);
  stream->watchers.emplace(watcher->id, std::move(watcher));
}

void HubCore::KeepId(StreamState& stream, WatchId id) {
  if (stream.compacted.insert(id).second) watcher_bytes_ += kCompactedCost;
}

void HubCore::Refuse(StreamId id, std::string reason, Revision published) {
  if (StreamState* stream = Find(id)) {
    Answer(*stream, RefusedResponse(published, std::move(reason)));
  }
}

void HubCore::Cancel(StreamId id, WatchId watch, Revision published) {
  StreamState* stream = Find(id);
  if (stream == nullptr) return;
  auto it = stream->watchers.find(watch);
  if (it != stream->watchers.end()) {
    Remove(*it->second);
  } else if (stream->compacted.erase(watch) > 0) {
    watcher_bytes_ -= kCompactedCost;
  } else {
    return;
  }
  Answer(*stream, CanceledResponse(watch, published));
}

void HubCore::Remove(Watcher& watcher) {
  StreamState& stream = *watcher.stream;
  groups_.Remove(watcher);
  if (watcher.spec.progress_notify) DropNotice(stream);
  --watchers_;
  watcher_bytes_ -= CostOf(watcher.spec);
  stream.watchers.erase(WatchId(watcher.id));
}

void HubCore::MoveTo(Watcher& watcher, Revision next) {
  groups_.Remove(watcher);
  watcher.next = next;
  groups_.Place(watcher, current_);
}

void HubCore::Drained(StreamId id) {
  StreamState* stream = Find(id);
  if (stream == nullptr || !stream->outbox.full()) return;
  stream->outbox.Drained();
  if (stream->outbox.full()) return;
  for (auto& [watch, watcher] : stream->watchers) groups_.Place(*watcher, current_);
  TryProgress(*stream);
}

void HubCore::Batch(const mvcc::EventBatch& batch) {
  if (batch.last <= current_) return;
  if (batch.events.empty() || batch.first > current_ + 1) {
    // The queue was full and a batch between was dropped.
    const Revision known = batch.events.empty() ? batch.last : batch.first - 1;
    SkipTo(known);
    if (batch.events.empty()) return;
  }
  groups_.AdmitFuture(batch.last + 1);
  FanOut out(store_, encoder_, limits_.fragment_bytes_max, groups_.synced());
  const Revision first = current_ + 1;
  for (size_t i = 0; i < batch.events.size(); ++i) {
    // With many watched keys each look-up misses the cache several times: the misses of the next
    // ones are waited for together.
    if (i + kEventsAhead < batch.events.size()) {
      groups_.synced().Prefetch(batch.events[i + kEventsAhead].kv.key);
    }
    const mvcc::Event& event = batch.events[i];
    if (event.kv.mod >= first && out.Wanted(event.kv.key, event.type)) out.Add(event);
  }
  out.HandOut(&HubCore::HasRoom,
              [&](const FanOut::Delivery& delivery) { Deliver(delivery, delivery.last); });
  current_ = batch.last;
  ParkFilled(first);
}

void HubCore::SkipTo(Revision to) {
  if (to <= current_) return;
  groups_.Jump(current_, to);
  current_ = to;
}

void HubCore::Reset(Revision installed) {
  groups_.Jump(current_, installed);
  current_ = installed;
}

bool HubCore::HasRoom(Watcher& watcher) {
  watcher.missed = !watcher.stream->outbox.open();
  return !watcher.missed;
}

void HubCore::Deliver(const FanOut::Delivery& delivery, Revision header) {
  Watcher& watcher = *delivery.watcher;
  StreamState& stream = *watcher.stream;
  const Revision told = std::max(stream.told, header);
  const bool was_full = stream.outbox.full();
  watcher.missed = !stream.outbox.Events(EventResponses(watcher.id, told, *delivery.pieces));
  if (!was_full && stream.outbox.full()) filled_.insert(stream.id);
  if (watcher.missed) return;
  stream.told = told;
  watcher.quiet = false;
  events_sent_ += delivery.events;
}

void HubCore::ParkFilled(Revision missed_from) {
  for (StreamId id : std::exchange(filled_, {})) {
    for (auto& [watch, watcher] : Find(id)->watchers) {
      const bool missed = std::exchange(watcher->missed, false);
      Revision next = watcher->next;
      if (watcher->group == Group::kSynced) {
        next = std::max(next, missed ? missed_from : current_ + 1);
        ++demotions_;
      }
      MoveTo(*watcher, next);
    }
  }
}

void HubCore::Slice() {
  CancelCompacted();
  const auto first = catch_up_.PickStart(groups_, current_);
  if (!first) return;
  FanOut out(store_, encoder_, limits_.fragment_bytes_max, groups_.lagging());
  const Revision last = catch_up_.Read(*first, current_, &out);
  // Looked at after reading: below it the slice may have holes (etcd #17780, #18089).
  const Revision compacted = store_.compacted();
  auto in_slice = [&](const Watcher& watcher) {
    return watcher.next >= std::max(*first, compacted);
  };
  out.HandOut([&](Watcher& watcher) { return in_slice(watcher) && HasRoom(watcher); },
              [&](const FanOut::Delivery& delivery) { Deliver(delivery, current_); });
  for (Watcher* watcher : groups_.LaggingUpTo(last)) {
    if (in_slice(*watcher) && !watcher->missed) MoveTo(*watcher, last + 1);
  }
  ParkFilled(current_ + 1);
  CancelCompacted();
}

void HubCore::CancelCompacted() {
  const Revision compacted = store_.compacted();
  for (Watcher* watcher : groups_.LaggingUpTo(compacted - 1)) {
    StreamState& stream = *watcher->stream;
    const WatchId id = watcher->id;
    Remove(*watcher);
    KeepId(stream, id);
    Answer(stream, CompactedResponse(id, compacted));
  }
}

void HubCore::Work() {
  Slice();
  TickNotices();
  std::vector<StreamId> waiting(progress_waiting_.begin(), progress_waiting_.end());
  for (StreamId id : waiting) TryProgress(*Find(id));
}

bool HubCore::InSync(const Watcher& watcher) const {
  // One whose start is still to come is not (etcd #20221).
  return watcher.group == Group::kSynced && watcher.spec.start <= current_;
}

bool HubCore::ReachedTold(const StreamState& stream) const { return current_ >= stream.told; }

void HubCore::RequestProgress(StreamId id, Revision published) {
  StreamState* stream = Find(id);
  if (stream == nullptr) return;
  ++stream->progress_requests;
  stream->progress_revision = published;
  progress_waiting_.insert(id);
  TryProgress(*stream);
}

void HubCore::TryProgress(StreamState& stream) {
  // Events up to the revision published at the request are on their way: not before them (etcd
  // #15220).
  if (stream.outbox.full() || current_ < stream.progress_revision) return;
  if (!ReachedTold(stream)) return;
  bool in_sync = true;
  bool never = stream.watchers.empty() || !stream.compacted.empty();
  for (const auto& [id, watcher] : stream.watchers) {
    in_sync = in_sync && InSync(*watcher);
    never = never || watcher->spec.start > current_;
  }
  if (never) stream.progress_requests = 0;  // no answer, as in etcd
  if (stream.progress_requests > 0 && !in_sync) return;
  while (stream.progress_requests > 0) {
    if (!stream.outbox.Notice(ProgressResponse(kNoWatch, current_))) {
      filled_.insert(stream.id);
      ParkFilled(current_ + 1);
      return;
    }
    --stream.progress_requests;
  }
  progress_waiting_.erase(stream.id);
}

void HubCore::AddNotice(StreamState& stream) {
  if (stream.notice_watchers++ > 0) return;
  stream.notice_at = clock_.Now() + limits_.progress_interval;
  notices_.emplace(*stream.notice_at, stream.id);
}

void HubCore::DropNotice(StreamState& stream) {
  if (--stream.notice_watchers > 0) return;
  notices_.erase({*stream.notice_at, stream.id});
  stream.notice_at.reset();
}

void HubCore::TickNotices() {
  const TimePoint now = clock_.Now();
  while (!notices_.empty() && notices_.begin()->first <= now) {
    StreamState& stream = *Find(notices_.begin()->second);
    notices_.erase(notices_.begin());
    stream.notice_at = now + limits_.progress_interval;
    notices_.emplace(*stream.notice_at, stream.id);
    Tick(stream);
  }
}

void HubCore::Tick(StreamState& stream) {
  if (!ReachedTold(stream)) return;
  for (auto& [id, watcher] : stream.watchers) {
    const bool quiet = std::exchange(watcher->quiet, true);
    if (!watcher->spec.progress_notify || !quiet || !InSync(*watcher)) continue;
    if (stream.outbox.full()) break;
    if (!stream.outbox.Notice(ProgressResponse(id, current_))) filled_.insert(stream.id);
  }
  ParkFilled(current_ + 1);
}

TimePoint HubCore::NextDeadline() const {
  return notices_.empty() ? TimePoint::max() : notices_.begin()->first;
}

WatchStats HubCore::stats() const {
  WatchStats stats;
  stats.streams = streams_.size();
  stats.watchers = watchers_;
  stats.watcher_bytes = watcher_bytes_;
  stats.lagging = groups_.behind();
  stats.events_sent = events_sent_;
  stats.demotions = demotions_;
  return stats;
}

}  // namespace store::watch
