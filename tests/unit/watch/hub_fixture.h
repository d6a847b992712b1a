// SPDX-License-Identifier: Apache-2.0
// A hub over a real key space on MemEngine, driven by hand: write, publish, run turns, look at what
// streams got.
#pragma once

#include "store/base/clock.h"
#include "store/engine/mem_engine.h"
#include "store/mvcc/mvcc_store.h"
#include "store/watch/watch_hub.h"
#include "store/watch/watch_response.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace store::watch {

class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return now_ += each_look_; }
  int64_t WallMicros() const override { return 0; }
  void Advance(Duration time) { now_ += time; }
  // So much goes by with each look at it.
  void RunBy(Duration each_look) { each_look_ = each_look; }

 private:
  mutable TimePoint now_{};
  Duration each_look_{0};
};

// Takes up to `room` responses; keeps all it took.
class FakeStream final : public WatchStream {
 public:
  bool Offer(WatchResponsePtr response) override {
    if (room == 0) return false;
    --room;
    got.push_back(std::move(response));
    return true;
  }
  // The oldest response not looked at yet.
  WatchResponsePtr Take() {
    if (got.empty()) return nullptr;
    WatchResponsePtr first = std::move(got.front());
    got.pop_front();
    return first;
  }

  size_t room = 1 << 20;
  std::deque<WatchResponsePtr> got;
};

// "put a=1@5 del b@6", with "(was x)" behind an event that carries a previous value.
inline std::string Text(const WatchResponse& response) {
  if (!response.events) return {};
  std::string text;
  for (const WatchEvent& watched : response.events->events) {
    const mvcc::KeyValue& kv = watched.event.kv;
    if (!text.empty()) text += " ";
    if (watched.event.type == mvcc::EventType::kPut) {
      text += fmt::format("put {}={}@{}", kv.key.view(), kv.value.view(), kv.mod);
    } else {
      text += fmt::format("del {}@{}", kv.key.view(), kv.mod);
    }
    if (watched.prev) text += fmt::format("(was {})", watched.prev->value.view());
  }
  return text;
}

class HubFixture {
 public:
  explicit HubFixture(const WatchLimits& limits = {}, std::shared_ptr<engine::Engine> engine =
                                                          std::make_shared<engine::MemEngine>())
      : engine_(std::move(engine)), limits_(limits) {
    auto opened = mvcc::MvccStore::Open(engine_);
    EXPECT_TRUE(opened);
    store_ = std::move(*opened);
    hub_ = std::make_unique<WatchHub>(limits_, *store_, clock_, [this](const auto& events) {
      ++encodings_;
      size_t bytes = 0;
      for (const WatchEvent& event : events) bytes += EventBytes(event.event, event.prev.get());
      return SharedBytes::Copy(
          fmt::format("{:.<{}}", fmt::format("{} events", events.size()), bytes));
    });
  }

  mvcc::MvccStore& store() { return *store_; }
  WatchHub& hub() { return *hub_; }
  ManualClock& clock() { return clock_; }
  std::shared_ptr<engine::Engine> store_engine() const { return engine_; }
  size_t encodings() const { return encodings_; }

  // Changes of one batch, each its own revision unless inside one Txn; visible, but not published
  // to the hub.
  mvcc::EventBatchPtr Commit() {
    EXPECT_TRUE(engine_->Write(*batch()));
    batch_.reset();
    return store_->Publish();
  }
  void Put(const std::string& key, const std::string& value) {
    auto txn = store_->Begin(*batch());
    txn.Put(SharedBytes::Copy(key), SharedBytes::Copy(value), LeaseId(0));
    txn.Commit();
  }
  void Delete(const KeyRange& range) {
    auto txn = store_->Begin(*batch());
    txn.DeleteRange(range);
    txn.Commit();
  }
  // One revision of several changes in order; without a value: a delete.
  void ChangeAll(const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) {
    auto txn = store_->Begin(*batch());
    for (const auto& [key, value] : changes) {
      if (value) {
        txn.Put(SharedBytes::Copy(key), SharedBytes::Copy(*value), LeaseId(0));
      } else {
        txn.DeleteRange(KeyRange::Point(key));
      }
    }
    txn.Commit();
  }
  void Compact(Revision at) { EXPECT_TRUE(store_->Compact(at, *batch())); }
  void Publish() { hub_->Publish(Commit()); }
  void PutNow(const std::string& key, const std::string& value) {
    Put(key, value);
    Publish();
  }
  // Removes what the newest compaction made unreachable.
  void Collect() {
    mvcc::Collector collector(*store_);
    while (true) {
      auto step = collector.Step(clock_.Now());
      ASSERT_TRUE(step);
      store_->Trim(step->trim);
      if (step->state == mvcc::CollectStep::State::kIdle) return;
    }
  }

  // Compacted, told to the hub, and removed.
  void CompactAway(Revision at) {
    Compact(at);
    Publish();
    Collect();
    Run();
  }

  std::shared_ptr<FakeStream> Open(uint64_t id) {
    auto stream = std::make_shared<FakeStream>();
    hub_->Open(StreamId(id), stream);
    return stream;
  }
  void Create(uint64_t stream, WatchSpec spec) { hub_->Create(StreamId(stream), std::move(spec)); }
  // Creates a watcher of every key from `start` on and takes its "created".
  void Watch(uint64_t stream, const std::shared_ptr<FakeStream>& sink, WatchSpec spec = {}) {
    if (spec.range.Empty()) spec.range = KeyRange::FromRequest("a", std::string_view("\0", 1));
    Create(stream, std::move(spec));
    Run();
    WatchResponsePtr created = sink->Take();
    ASSERT_TRUE(created != nullptr);
    EXPECT_TRUE(created->created && !created->canceled);
  }
  void Drained(uint64_t stream, FakeStream& sink, size_t room) {
    sink.room = room;
    hub_->OnDrained(StreamId(stream));
  }
  // Turns until nothing is left.
  void Run() {
    while (hub_->RunTurn()) {
    }
  }

 private:
  engine::WriteBatch* batch() {
    if (batch_ == nullptr) batch_ = engine_->NewBatch();
    return batch_.get();
  }

  std::shared_ptr<engine::Engine> engine_;
  const WatchLimits limits_;
  ManualClock clock_;
  std::unique_ptr<mvcc::MvccStore> store_;
  std::unique_ptr<engine::WriteBatch> batch_;
  size_t encodings_ = 0;
  std::unique_ptr<WatchHub> hub_;
};

}  // namespace store::watch
