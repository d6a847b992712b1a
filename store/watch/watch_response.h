// SPDX-License-Identifier: Apache-2.0
// How responses are made: which kinds of events a watcher wants, the answers without events, and
// the cutting of a large set of events into fragments. Values and pure functions, any thread.
#pragma once

#include "store/watch/watch_hub.h"

#include <absl/container/inlined_vector.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace store::watch {

// Watchers of one range and filter class get the same events, hence the same bytes.
class FilterClass {
 public:
  static constexpr uint8_t kCount = 8;

  constexpr FilterClass() = default;
  explicit constexpr FilterClass(uint8_t bits) : bits_(bits) {}
  static FilterClass Of(const WatchSpec& spec) {
    return FilterClass(static_cast<uint8_t>((spec.no_put ? 1 : 0) | (spec.no_delete ? 2 : 0) |
                                            (spec.prev_kv ? 4 : 0)));
  }

  uint8_t bits() const { return bits_; }
  bool Wants(mvcc::EventType type) const {
    return (bits_ & (type == mvcc::EventType::kPut ? 1 : 2)) == 0;
  }
  bool with_prev() const { return (bits_ & 4) != 0; }

 private:
  uint8_t bits_ = 0;
};

// Upper bound of what an event takes on the wire, `prev` included.
size_t EventBytes(const mvcc::Event& event, const mvcc::KeyValue* prev);

// A put that created its key has no previous value, even if an older life of the key left a record.
bool MayHavePrevious(const mvcc::Event& event);

WatchResponsePtr CreatedResponse(WatchId id, Revision header);
// The create was refused: the only answer it gets, in the place of "created".
WatchResponsePtr RefusedResponse(Revision header, std::string reason);
WatchResponsePtr CanceledResponse(WatchId id, Revision header);
// The watcher would need revisions below `compacted`; header revision 0 and no reason, as etcd
// does.
WatchResponsePtr CompactedResponse(WatchId id, Revision compacted);
WatchResponsePtr ProgressResponse(WatchId id, Revision header);

// How many events each piece holds when events of these encoded sizes are cut so that every
// response stays below `bytes_max`; an event that alone reaches it stands alone. One piece: no cut.
std::vector<size_t> CutFragments(std::span<const size_t> sizes, size_t bytes_max);

// One response per set in `pieces`, all but the last marked as fragments. Seldom more than one.
absl::InlinedVector<WatchResponsePtr, 1> EventResponses(
    WatchId id, Revision header, std::span<const std::shared_ptr<const WatchEvents>> pieces);

}  // namespace store::watch
