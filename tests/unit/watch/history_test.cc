// SPDX-License-Identifier: Apache-2.0
// Random life of a hub against the history: a writer, streams that refuse, batches that are
// dropped, compactions with collection, installs; every response is checked by the oracle, and in
// the end every watcher must have seen all that it should. SLUICE_WATCH_RUNS sets how many lives.
#include "tests/unit/base/seed.h"
#include "tests/unit/watch/history_oracle.h"
#include "tests/unit/watch/hub_fixture.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace store::watch {
namespace {

WatchLimits TinyLimits(Random& random) {
  WatchLimits limits;
  limits.queue_bytes_max = random.Chance(0.5) ? 64 << 20 : 3000;
  limits.slice_revisions_max = random.Between(1, 20);
  limits.slice_bytes_max = random.Between(50, 3000);
  limits.fragment_bytes_max = random.Between(100, 1000);
  limits.progress_interval = std::chrono::seconds(10);
  limits.kept_bytes_max = random.Chance(0.3) ? 0 : random.Between(50, 3000);
  return limits;
}

class Life {
 public:
  explicit Life(Random random) : random_(random), f_(TinyLimits(random_)) {
    for (uint64_t id = 1; id <= 3; ++id) streams_[id].sink = f_.Open(id);
  }

  void Steps(int count) {
    for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE(fmt::format("step {}", i));
      Step();
      for (auto& [id, stream] : streams_) Look(stream);
    }
    Finish();
  }

  size_t canceled() const { return canceled_; }
  WatchStats stats() { return f_.hub().stats(); }

 private:
  struct Stream {
    std::shared_ptr<FakeStream> sink;
    std::deque<std::pair<WatchSpec, Revision>> creating;  // with the revision of that moment
    std::map<WatchId, HistoryOracle::Watched> watches;
    std::set<WatchId> compacted;  // canceled, their ids still taken
  };

  void Step() {
    const uint64_t dice = random_.Below(100);
    if (dice < 35) {
      Write();
    } else if (dice < 60) {
      f_.hub().RunTurn();
    } else if (dice < 70) {
      Create();
    } else if (dice < 73) {
      Cancel();
    } else if (dice < 83) {
      const auto& [id, stream] = *Pick();
      f_.Drained(id, *stream.sink, random_.Below(6));
    } else if (dice < 88) {
      f_.hub().RequestProgress(StreamId(Pick()->first));
    } else if (dice < 92) {
      f_.clock().Advance(std::chrono::seconds(random_.Below(15)));
    } else if (dice < 96) {
      Compact();
    } else if (dice < 98) {
      f_.Collect();
    } else {
      Install();
    }
  }

  std::string Key() { return fmt::format("k{}", random_.Below(8)); }
  KeyRange Range() {
    switch (random_.Below(3)) {
      case 0:
        return KeyRange::Point(Key());
      case 1:
        return KeyRange::FromRequest("k", std::string_view("\0", 1));
      default: {
        std::string a = Key();
        std::string b = Key();
        return KeyRange::FromRequest(std::min(a, b), std::max(a, b) + "~");
      }
    }
  }

  void Change() {
    if (random_.Chance(0.25)) {
      f_.Delete(Range());
    } else if (random_.Chance(0.2)) {
      f_.ChangeAll({{"k1", "x"}, {"k3", std::string(random_.Below(200), 'y')}, {"k5", "z"}});
    } else {
      f_.Put(Key(), fmt::format("v{}", random_.Below(1000)));
    }
  }
  mvcc::EventBatchPtr Commit() {
    mvcc::EventBatchPtr batch = f_.Commit();
    oracle_.Record(*batch);
    return batch;
  }
  void Write() {
    for (uint64_t i = random_.Between(1, 4); i > 0; --i) Change();
    mvcc::EventBatchPtr batch = Commit();
    // Requests made here see the revision as published, the hub gets its events later.
    if (random_.Chance(0.2)) Create();
    if (random_.Chance(0.2)) f_.hub().RequestProgress(StreamId(Pick()->first));
    f_.hub().Publish(std::move(batch));
  }
  // What an install looks like from here: revisions appear without batches.
  void Install() {
    for (uint64_t i = random_.Below(5); i > 0; --i) Change();
    Commit();
    f_.hub().Reset(f_.store().current());
  }
  void Compact() {
    const int64_t low = std::max<int64_t>(f_.store().compacted().value(), 0) + 1;
    const int64_t high = f_.store().current().value();
    if (low > high) return;
    f_.Compact(Revision(static_cast<int64_t>(
        random_.Between(static_cast<uint64_t>(low), static_cast<uint64_t>(high)))));
    f_.hub().Publish(Commit());
  }

  std::map<uint64_t, Stream>::iterator Pick() {
    return std::next(streams_.begin(), static_cast<int64_t>(random_.Below(streams_.size())));
  }
  void Create() {
    auto& [id, stream] = *Pick();
    if (stream.watches.size() + stream.creating.size() > 8) return;
    WatchSpec spec;
    spec.range = Range();
    const int64_t now = f_.store().current().value();
    if (random_.Chance(0.6)) {
      spec.start =
          Revision(static_cast<int64_t>(random_.Between(1, static_cast<uint64_t>(now) + 5)));
    }
    spec.no_put = random_.Chance(0.15);
    spec.no_delete = random_.Chance(0.15);
    spec.prev_kv = random_.Chance(0.4);
    spec.progress_notify = random_.Chance(0.5);
    spec.fragment = random_.Chance(0.4);
    stream.creating.emplace_back(spec, Revision(now));
    f_.Create(id, std::move(spec));
  }
  void Cancel() {
    auto& [id, stream] = *Pick();
    if (!stream.watches.empty()) f_.hub().Cancel(StreamId(id), stream.watches.begin()->first);
  }

  void Look(Stream& stream) {
    while (WatchResponsePtr response = stream.sink->Take()) {
      Check(stream, *response);
      if (testing::Test::HasFailure()) return;
    }
  }
  void Check(Stream& stream, const WatchResponse& response) {
    if (response.created) {
      ASSERT_FALSE(stream.creating.empty());
      const auto [spec, now] = stream.creating.front();
      stream.creating.pop_front();
      EXPECT_EQ(response.header, now);
      HistoryOracle::Watched watched;
      watched.spec = spec;
      watched.floor = spec.start ? spec.start : now + 1;
      EXPECT_TRUE(stream.watches.emplace(response.id, watched).second);
      return;
    }
    if (response.id == kNoWatch) {
      for (auto& [id, watched] : stream.watches) oracle_.CheckProgress(watched, response.header);
      return;
    }
    // Canceled by the client while the compaction's cancel was on its way.
    if (response.canceled && stream.compacted.erase(response.id) > 0) return;
    auto it = stream.watches.find(response.id);
    ASSERT_NE(it, stream.watches.end()) << "response to unknown watch " << response.id;
    EXPECT_FALSE(it->second.open_fragment && !response.events);
    if (response.canceled) {
      CheckCancel(it->second, response);
      if (response.compacted) stream.compacted.insert(response.id);
      stream.watches.erase(it);
    } else if (response.events) {
      oracle_.CheckEvents(it->second, response, f_.store().compacted());
    } else {
      EXPECT_TRUE(it->second.spec.progress_notify);
      oracle_.CheckProgress(it->second, response.header);
    }
  }
  void CheckCancel(const HistoryOracle::Watched& watched, const WatchResponse& response) {
    if (!response.compacted) return;
    ++canceled_;
    EXPECT_EQ(response.header, Revision(0));
    EXPECT_LE(response.compacted, f_.store().compacted());
    EXPECT_LT(watched.floor, response.compacted);
    EXPECT_LT(watched.last + 1, response.compacted);
  }

  void Finish() {
    for (auto& [id, stream] : streams_) f_.Drained(id, *stream.sink, 1 << 20);
    f_.Run();
    for (auto& [id, stream] : streams_) {
      Look(stream);
      EXPECT_TRUE(stream.creating.empty());
      for (auto& [watch, watched] : stream.watches) {
        const HistoryOracle::Change* next = oracle_.Next(watched);
        EXPECT_EQ(next, nullptr) << "watch " << watch << " never got revision " << next->mod;
      }
    }
    EXPECT_EQ(f_.hub().stats().lagging, 0u);
  }

  Random random_;
  HubFixture f_;
  HistoryOracle oracle_;
  std::map<uint64_t, Stream> streams_;
  size_t canceled_ = 0;
};

TEST(WatchHistory, RandomLivesShowEveryWatcherItsHistory) {
  Random seeds = SeededRandom("WatchHistory");
  const char* given = std::getenv("SLUICE_WATCH_RUNS");
  const int runs = given != nullptr ? std::atoi(given) : 200;
  size_t canceled = 0;
  WatchStats sum;
  for (int run = 0; run < runs && !HasFailure(); ++run) {
    SCOPED_TRACE(fmt::format("run {}", run));
    Life life(Random(seeds.Next()));
    life.Steps(400);
    const WatchStats stats = life.stats();
    sum.events_sent += stats.events_sent;
    sum.demotions += stats.demotions;
    sum.batches_dropped += stats.batches_dropped;
    canceled += life.canceled();
  }
  std::cout << fmt::format(
      "{} events, {} demotions, {} batches dropped, {} overtaken by compaction\n", sum.events_sent,
      sum.demotions, sum.batches_dropped, canceled);
  if (runs < 100) return;
  EXPECT_GT(sum.demotions, 0u);
  EXPECT_GT(sum.batches_dropped, 0u);
  EXPECT_GT(canceled, 0u);
}

}  // namespace
}  // namespace store::watch
