// SPDX-License-Identifier: Apache-2.0
// WatchGroups: where each watcher stands against the hub's position `current` (the newest revision
// whose events were handed out). next is the first revision it has not got:
//
//   synced   next <= current + 1 and everything below is delivered: gets each batch as it comes
//   lagging  next <= current: is caught up from the store, lowest next first
//   future   next > current + 1: gets nothing, no events and no notices, until the batch that
//   reaches next
//            (also after a snapshot install: etcd #15271, #20221)
//   parked   its stream is full: gets nothing until the stream has drained (etcd #17529)
//
// In `synced` and `lagging` watchers are found by key: WatcherIndex keeps one RangeGroup per
// distinct range, single keys in a hash map, the rest in an interval tree. Owner thread only. Holds
// watchers by pointer; the hub owns them and removes them here first. Bounded by the number of
// watchers.
#pragma once

#include "store/base/hash.h"
#include "store/base/ids.h"
#include "store/base/interval_tree.h"
#include "store/base/key_range.h"
#include "store/watch/watch_response.h"

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace store::watch {

struct StreamState;
class RangeGroup;

enum class Group : uint8_t { kNone, kSynced, kLagging, kFuture, kParked };

// What a delivery reads stands first, side by side.
struct Watcher {
  StreamState* stream = nullptr;
  uint64_t serial = 0;  // order of creation in this hub; breaks ties everywhere
  WatchId id = kNoWatch;
  Revision next;  // exact while lagging, future or parked; a lower bound while synced
  FilterClass filter;
  bool fragment = false;       // that of `spec`
  bool quiet = true;           // no event since the last tick of its stream
  bool missed = false;         // its stream refused the events at hand; until its stream is parked
  Group group = Group::kNone;  // changed by WatchGroups only
  RangeGroup* range = nullptr;
  WatchSpec spec;
};

// The watchers of one range, and the events of the batch at hand that they share (FanOut fills and
// clears).
class RangeGroup {
 public:
  explicit RangeGroup(uint64_t id) : id_(id) {}

  uint64_t id() const { return id_; }
  bool Wants(mvcc::EventType type) const;
  bool WantsPrevious(mvcc::EventType type) const;

  std::map<uint64_t, Watcher*> watchers;                // by serial
  std::array<uint32_t, FilterClass::kCount> classes{};  // watchers of each filter class
  std::vector<uint32_t> hits;                           // scratch: indices of events

 private:
  uint64_t id_;
};

// A range in the tree, ordered by number and not by address so that runs repeat.
struct GroupRef {
  uint64_t id;
  RangeGroup* group;
  friend auto operator<=>(const GroupRef& a, const GroupRef& b) { return a.id <=> b.id; }
  friend bool operator==(const GroupRef& a, const GroupRef& b) { return a.id == b.id; }
};

class WatcherIndex {
 public:
  void Insert(Watcher& watcher);
  void Erase(Watcher& watcher);
  // Match will be asked for `key` soon.
  void Prefetch(std::string_view key) const { points_.prefetch(key); }
  // Every group whose range holds `key`.
  void Match(std::string_view key, absl::FunctionRef<void(RangeGroup&)> visit) const;
  void ForEach(absl::FunctionRef<void(Watcher&)> visit) const;  // in order of creation
  size_t size() const { return watchers_.size(); }

 private:
  using RangeKey = std::pair<std::string, std::optional<std::string>>;
  RangeGroup& GroupOf(const KeyRange& range);
  void DropGroup(const KeyRange& range);

  std::map<uint64_t, Watcher*> watchers_;
  absl::flat_hash_map<std::string, std::unique_ptr<RangeGroup>, BytesHash, BytesEq> points_;
  std::map<RangeKey, std::unique_ptr<RangeGroup>> ranges_;
  IntervalTree<std::string, GroupRef> tree_;  // of ranges_
  uint64_t next_group_ = 0;
};

class WatchGroups {
 public:
  // Puts the watcher where its next revision and its stream say; it may stand anywhere or nowhere
  // before.
  void Place(Watcher& watcher, Revision current);
  void Remove(Watcher& watcher);
  // Future watchers that want something of (current, upto] become synced.
  void AdmitFuture(Revision upto);
  // The hub goes from `from` to `to` without handing out what lies between: those who miss it lag.
  void Jump(Revision from, Revision to);

  const WatcherIndex& synced() const { return synced_; }
  const WatcherIndex& lagging() const { return lagging_; }
  // Smallest next revision of a lagging watcher at or above `from`.
  std::optional<Revision> LowestLagging(Revision from = Revision(0)) const;
  // Lagging watchers with next <= upto, lowest next first.
  std::vector<Watcher*> LaggingUpTo(Revision upto) const;
  size_t behind() const { return lagging_.size() + parked_; }

 private:
  using ByNext = std::map<std::pair<Revision, uint64_t>, Watcher*>;  // next, serial

  WatcherIndex synced_;
  WatcherIndex lagging_;
  ByNext lagging_order_;
  ByNext future_;
  size_t parked_ = 0;
};

}  // namespace store::watch
