// SPDX-License-Identifier: Apache-2.0
// HubCore: all streams, watchers and rules of the watch hub, without its queue: what happens when a
// request, a batch or a drained stream is handled. `current` is the newest revision whose events
// were handed out; it never waits for a watcher. A request comes with the revision that was
// published when it was posted, which is what "now" means for its client, also when the hub lags
// behind apply.
//
// Owner thread only. Owns streams and watchers; streams are bounded by the transport, watchers and
// their keys by watcher_bytes_max.
#pragma once

#include "store/base/clock.h"
#include "store/mvcc/mvcc_store.h"
#include "store/watch/catch_up.h"
#include "store/watch/fan_out.h"
#include "store/watch/stream_state.h"
#include "store/watch/watch_groups.h"
#include "store/watch/watch_hub.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace store::watch {

class HubCore {
 public:
  HubCore(const WatchLimits& limits, const mvcc::MvccStore& store, const Clock& clock,
          WatchHub::Encoder encoder);

  void Open(StreamId id, std::shared_ptr<WatchStream> sink);
  void Close(StreamId id);
  void Create(StreamId id, WatchSpec spec, Revision published);
  void Refuse(StreamId id, std::string reason, Revision published);
  void Cancel(StreamId id, WatchId watch, Revision published);
  void Drained(StreamId id);
  void RequestProgress(StreamId id, Revision published);

  void Batch(const mvcc::EventBatch& batch);
  // Revisions up to `to` were published, but their events are not at hand: read them from the
  // store.
  void SkipTo(Revision to);
  void Reset(Revision installed);

  // After everything posted was handled: one slice for laggards, then notices that became due.
  void Work();
  bool HasWork() const { return groups_.LowestLagging().has_value(); }
  TimePoint NextDeadline() const;

  Revision current() const { return current_; }
  // Without what the queue knows.
  WatchStats stats() const;

 private:
  StreamState* Find(StreamId id);
  void Answer(StreamState& stream, WatchResponsePtr response);
  // Why the spec cannot be; empty: it can.
  std::string RefusalOf(const StreamState& stream, const WatchSpec& spec) const;
  WatchId TakeAutoId(StreamState& stream) const;
  void Remove(Watcher& watcher);
  void MoveTo(Watcher& watcher, Revision next);

  // False: nothing more fits into its stream; the watcher is marked, its stream awaits ParkFilled.
  static bool HasRoom(Watcher& watcher);
  // The same if the stream refuses.
  void Deliver(const FanOut::Delivery& delivery, Revision header);
  // Parks the watchers of streams that have become full; one that missed its events was last served
  // before `missed_from`.
  void ParkFilled(Revision missed_from);
  void Slice();
  // Of a watcher that a compaction cancels.
  void KeepId(StreamState& stream, WatchId id);
  void CancelCompacted();

  bool InSync(const Watcher& watcher) const;
  // Progress may be told: the hub is where a header of the stream said the store is.
  bool ReachedTold(const StreamState& stream) const;
  void TickNotices();
  void Tick(StreamState& stream);
  void TryProgress(StreamState& stream);
  void AddNotice(StreamState& stream);
  void DropNotice(StreamState& stream);

  const WatchLimits limits_;
  const mvcc::MvccStore& store_;
  const Clock& clock_;
  const WatchHub::Encoder encoder_;

  Revision current_;
  WatchGroups groups_;
  CatchUp catch_up_;
  std::map<StreamId, std::unique_ptr<StreamState>> streams_;
  std::set<StreamId> filled_;                         // refused an offer, watchers not parked yet
  std::set<StreamId> progress_waiting_;               // with progress_requests > 0
  std::set<std::pair<TimePoint, StreamId>> notices_;  // streams with progress_notify watchers
  uint64_t next_serial_ = 0;
  size_t watchers_ = 0;
  size_t watcher_bytes_ = 0;
  uint64_t events_sent_ = 0;
  uint64_t demotions_ = 0;
};

}  // namespace store::watch
