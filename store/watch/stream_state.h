// SPDX-License-Identifier: Apache-2.0
// StreamState: what the hub keeps of one client stream: its way out, its watchers and what it was
// promised. Owned by the hub, owner thread only. Bounded by the watchers and requests of the
// stream's client.
#pragma once

#include "store/base/clock.h"
#include "store/base/ids.h"
#include "store/watch/stream_outbox.h"
#include "store/watch/watch_groups.h"
#include "store/watch/watch_hub.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

namespace store::watch {

struct StreamState {
  StreamState(StreamId stream, std::shared_ptr<WatchStream> sink, size_t kept_bytes_max)
      : id(stream), outbox(std::move(sink), kept_bytes_max) {}

  const StreamId id;
  StreamOutbox outbox;
  std::map<WatchId, std::unique_ptr<Watcher>> watchers;
  // Canceled by a compaction. As at etcd such a watcher keeps its id, and its stream tells no
  // progress, until the client cancels it too.
  std::set<WatchId> compacted;
  // The newest revision that a header of this stream named. Answers name the one published, which
  // the hub may not have reached: what follows names no older one, so headers never go back.
  Revision told;
  WatchId next_auto_id = 0;  // counts up: an id just canceled is not handed out again

  uint32_t progress_requests = 0;  // not answered yet
  Revision progress_revision;      // newest revision published when they were made

  size_t notice_watchers = 0;          // with progress_notify
  std::optional<TimePoint> notice_at;  // set while notice_watchers > 0
};

}  // namespace store::watch
