// SPDX-License-Identifier: Apache-2.0
// HistoryOracle: all changes ever made, and what each watcher must therefore see. It checks
// responses as they come: ordered, unique, atomic, without gaps from the watcher's start, filters,
// previous values, progress that promises no more than was delivered, cancels only where compaction
// overtook the watcher.
#pragma once

#include "store/mvcc/event.h"
#include "store/watch/watch_hub.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace store::watch {

class HistoryOracle {
 public:
  struct Change {
    mvcc::EventType type;
    std::string key;
    std::string value;
    Revision mod;
    std::optional<std::string> prev;
  };
  struct Watched {
    WatchSpec spec;
    Revision floor;    // first revision it may see
    size_t place = 0;  // index in the history it has seen up to
    Revision last;     // newest event seen
    bool open_fragment = false;
  };

  void Record(const mvcc::EventBatch& batch) {
    for (const mvcc::Event& event : batch.events) {
      const std::string key(event.kv.key.view());
      Change change{event.type, key, std::string(event.kv.value.view()), event.kv.mod, {}};
      if (auto it = live_.find(key); it != live_.end()) change.prev = it->second;
      if (event.type == mvcc::EventType::kPut) {
        live_[key] = change.value;
      } else {
        live_.erase(key);
      }
      history_.push_back(std::move(change));
    }
  }

  static bool Matches(const Watched& watched, const Change& change) {
    if (change.mod < watched.floor || !watched.spec.range.Contains(change.key)) return false;
    return change.type == mvcc::EventType::kPut ? !watched.spec.no_put : !watched.spec.no_delete;
  }
  // The next change this watcher must see; nullptr: none so far.
  const Change* Next(Watched& watched) const {
    while (watched.place < history_.size() && !Matches(watched, history_[watched.place])) {
      ++watched.place;
    }
    return watched.place < history_.size() ? &history_[watched.place] : nullptr;
  }

  void CheckEvents(Watched& watched, const WatchResponse& response, Revision compacted) const {
    ASSERT_FALSE(response.events->events.empty());
    for (const WatchEvent& event : response.events->events) {
      const Change* expected = Next(watched);
      ASSERT_NE(expected, nullptr) << "event of revision " << event.event.kv.mod << " too many";
      CheckEvent(watched, event, *expected, compacted);
      watched.last = expected->mod;
      ++watched.place;
    }
    EXPECT_GE(response.header, watched.last);
    watched.open_fragment = response.fragment;
    if (response.fragment) {
      EXPECT_TRUE(watched.spec.fragment);
      return;
    }
    const Change* next = Next(watched);
    EXPECT_TRUE(next == nullptr || next->mod > watched.last) << "split at " << watched.last;
  }

  // Everything up to `revision` was delivered.
  void CheckProgress(Watched& watched, Revision revision) const {
    const Change* next = Next(watched);
    EXPECT_TRUE(next == nullptr || next->mod > revision)
        << "progress " << revision << " but not delivered: " << next->mod;
    EXPECT_LE(watched.spec.start, revision);
  }

 private:
  static void CheckEvent(const Watched& watched, const WatchEvent& event, const Change& expected,
                         Revision compacted) {
    EXPECT_EQ(event.event.type, expected.type);
    EXPECT_EQ(event.event.kv.key.view(), expected.key);
    EXPECT_EQ(event.event.kv.value.view(), expected.value);
    EXPECT_EQ(event.event.kv.mod, expected.mod);
    const bool put = expected.type == mvcc::EventType::kPut;
    EXPECT_EQ(put && event.event.kv.create == event.event.kv.mod, put && !expected.prev);
    if (event.prev) {
      ASSERT_TRUE(watched.spec.prev_kv && expected.prev);
      EXPECT_EQ(event.prev->value.view(), *expected.prev);
      EXPECT_EQ(event.prev->key.view(), expected.key);
      EXPECT_LT(event.prev->mod, expected.mod);
    } else if (watched.spec.prev_kv && expected.prev) {
      EXPECT_LT(expected.mod - 1, compacted) << "previous value is missing";
    }
  }

  std::vector<Change> history_;
  std::map<std::string, std::string> live_;
};

}  // namespace store::watch
