// SPDX-License-Identifier: Apache-2.0
// WatchHub: owns all watchers of this member. One owner thread runs it (in the simulator: whoever
// calls RunTurn). Publish, Reset and every request only post; the answers come back through
// WatchStream::Offer on the owner thread, so a client can never see an event before "created" or a
// progress notice that overtakes an event (etcd #15220).
//
// Bounded by construction: the queue from apply holds Limits::queue_bytes_max; a batch that does
// not fit is dropped and the hub reads those revisions from the store again. A stream that refuses
// an Offer gets what it missed of that one batch kept (Limits::kept_bytes_max) and nothing more
// buffered: its watchers become "lagging at revision r" and are caught up from the store in slices
// once the stream has drained (etcd #17529). Apply never waits for watchers.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/base/key_range.h"
#include "store/mvcc/event.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace store::mvcc {
class MvccStore;
}

namespace store::watch {

struct StreamIdTag {
  static constexpr bool kArithmetic = false;
};
using StreamId = StrongInt<StreamIdTag, uint64_t>;
using WatchId = int64_t;  // chosen by the client or the server, unique within one stream
inline constexpr WatchId kNoWatch = -1;
inline constexpr WatchId kAutoWatch = 0;  // create: the server picks the smallest free one

struct WatchSpec {
  WatchId id = kAutoWatch;
  KeyRange range{};
  Revision start{};  // 0: from now on (above the revision published when Create was called)
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool progress_notify = false;
  bool fragment = false;
};

// One event as watchers see it; prev is filled once per event for all who want it.
struct WatchEvent {
  mvcc::Event event;
  std::shared_ptr<const mvcc::KeyValue> prev;  // null: none, compacted, or nobody asked
};

// The part that all watchers of one batch and filter class share. `encoded` is what Encoder made of
// it.
struct WatchEvents {
  std::vector<WatchEvent> events;
  bool with_prev = false;
  SharedBytes encoded;
  size_t bytes = 0;
};

struct WatchResponse {
  WatchId id = kNoWatch;
  Revision header;  // 0 in a compaction cancel
  bool created = false;
  bool canceled = false;
  bool fragment = false;  // more pieces of the same revision follow
  Revision compacted;     // set when canceled because of compaction
  std::string cancel_reason;
  std::shared_ptr<const WatchEvents> events;  // null: none
  size_t bytes() const { return 64 + cancel_reason.size() + (events ? events->bytes : 0); }
};
using WatchResponsePtr = std::shared_ptr<const WatchResponse>;

// The transport's side of one stream. Offer is called on the owner thread only: it counts (128
// responses or 1 MiB; an empty stream takes any one response) and passes the response on to the
// stream's loop. false: full, nothing was taken; once enough credit has come back that the stream
// is below half, it calls WatchHub::OnDrained. The refusal and the return of credit are decided
// under one lock, else the last credit can slip past the refusal and nobody wakes the stream again.
// A transport reads no request from a client whose stream is full: answers are kept in the hub
// meanwhile.
class WatchStream {
 public:
  virtual bool Offer(WatchResponsePtr response) = 0;
  virtual ~WatchStream() = default;
};

struct WatchLimits {
  size_t queue_bytes_max = 64 << 20;   // from apply
  size_t slice_revisions_max = 1000;   // one catch-up step
  size_t slice_bytes_max = 512 << 10;  // half a stream: one below half takes what a slice gives it
  size_t kept_bytes_max = 256 << 10;   // events that a stream which has become full did not take
  Duration slice_time_max = std::chrono::milliseconds(5);
  size_t slice_revisions_min = 64;  // before the time is looked at: a busy machine has little
  size_t fragment_bytes_max = (1536 << 10) + (512 << 10);
  Duration progress_interval = std::chrono::minutes(10);
  size_t watcher_bytes_max = 512 << 20;  // what all watchers cost, with their keys
};

struct WatchStats {
  size_t streams = 0;
  size_t watchers = 0;
  size_t lagging = 0;
  size_t queue_bytes = 0;
  size_t watcher_bytes = 0;
  uint64_t events_sent = 0;
  uint64_t batches_dropped = 0;
  uint64_t demotions = 0;
};

class WatchHub {
 public:
  // Encoder turns events into the bytes every response of the batch shares (the api's wire format).
  using Encoder = absl::AnyInvocable<SharedBytes(const std::vector<WatchEvent>&) const>;

  WatchHub(const WatchLimits& limits, const mvcc::MvccStore& store, const Clock& clock,
           Encoder encoder);
  ~WatchHub();

  // Any thread.
  void Publish(mvcc::EventBatchPtr batch);  // apply thread, after the index root is visible
  void Reset(Revision installed);           // after a snapshot install
  void Open(StreamId stream, std::shared_ptr<WatchStream> sink);
  void Close(StreamId stream);  // no Offer starts after the hub has handled it
  void Create(StreamId stream, WatchSpec spec);
  // The caller refused the request (permission): answered in order with the other creates of the
  // stream, as created + canceled with id -1.
  void Refuse(StreamId stream, std::string reason);
  void Cancel(StreamId stream, WatchId watch);
  void OnDrained(StreamId stream);
  void RequestProgress(StreamId stream);

  // Owner thread: handles everything posted and one slice of catch-up. True when more work waits.
  bool RunTurn();
  // Called (from any thread) when work arrives at an idle hub; set before use.
  void SetWake(absl::AnyInvocable<void()> wake);
  // When RunTurn wants to run next although nothing was posted (progress notices).
  TimePoint NextDeadline() const;

  WatchStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace store::watch
