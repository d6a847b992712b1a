// SPDX-License-Identifier: Apache-2.0
// Compaction and collection: what stays, exactly, at and around every revision.
#include "store/engine/mem_engine.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/mvcc/hooked_engine.h"
#include "tests/unit/mvcc/model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace store::mvcc {
namespace {

std::vector<std::string> Ids(const std::vector<ModelRecord>& records) {
  std::vector<std::string> ids;
  for (const ModelRecord& r : records) {
    ids.push_back(fmt::format("{}.{}{} {}", r.id.main, r.id.sub, r.tombstone ? "t" : "", r.key));
  }
  return ids;
}

// The example of the README: revisions 2..9.
Model WriteExample(Fixture& fixture) {
  Model model;
  auto put = [&](const char* key) {
    fixture.Put(key, "v");
    model.Put(++model.current, 0, key, "v", 0);
  };
  auto del = [&](const char* key) {
    fixture.Delete(key);
    model.Delete(++model.current, 0, key);
  };
  put("a"), put("b"), put("a"), del("b"), put("b"), del("a"), put("c"), put("b");
  return model;
}

TEST(Collector, KeepsExactlyTheReachableAtEveryRevision) {
  for (int64_t at = 0; at <= 9; ++at) {
    SCOPED_TRACE(fmt::format("compaction at {}", at));
    Fixture fixture;
    const Model model = WriteExample(fixture);
    ASSERT_TRUE(fixture.Compact(at));
    fixture.CollectAll();
    EXPECT_EQ(Ids(fixture.Records()), Ids(model.Kept(at)));
    EXPECT_EQ(fixture.store().collected(), Revision(at));
  }
}

TEST(Collector, ExampleOfTheReadme) {
  Fixture fixture;
  WriteExample(fixture);
  ASSERT_TRUE(fixture.Compact(7));
  fixture.CollectAll();
  EXPECT_EQ(Ids(fixture.Records()),
            (std::vector<std::string>{"6.0 b", "7.0t a", "8.0 c", "9.0 b"}));
  ASSERT_TRUE(fixture.Compact(9));
  fixture.CollectAll();
  EXPECT_EQ(Ids(fixture.Records()), (std::vector<std::string>{"8.0 c", "9.0 b"}));
}

TEST(Collector, TwoCompactionsLeaveWhatOneWould) {
  for (int64_t first = 0; first < 9; ++first) {
    for (int64_t second = first + 1; second <= 9; ++second) {
      SCOPED_TRACE(fmt::format("compactions at {} and {}", first, second));
      Fixture fixture;
      const Model model = WriteExample(fixture);
      ASSERT_TRUE(fixture.Compact(first));
      fixture.CollectAll();
      ASSERT_TRUE(fixture.Compact(second));
      fixture.CollectAll();
      EXPECT_EQ(Ids(fixture.Records()), Ids(model.Kept(second)));
    }
  }
}

TEST(Collector, CrashAfterAnyBatchRepeatsHarmlessly) {
  for (int crash_after = 0; crash_after < 8; ++crash_after) {
    SCOPED_TRACE(fmt::format("crash after {} batches", crash_after));
    auto engine = std::make_shared<engine::MemEngine>();
    MvccOptions options;
    options.collect_batch = 1;
    Fixture fixture(engine, options);
    const Model model = WriteExample(fixture);
    ASSERT_TRUE(fixture.Compact(8));
    for (int i = 0; i < crash_after; ++i) fixture.Collect();
    ASSERT_TRUE(engine->Flush());
    std::shared_ptr<engine::MemEngine> again = engine->AfterCrash();
    fixture.Reopen(again);
    EXPECT_EQ(fixture.store().compacted(), Revision(8));
    fixture.CollectAll();
    EXPECT_EQ(Ids(fixture.Records()), Ids(model.Kept(8)));
    const MvccStats stats = fixture.store().stats();
    size_t bytes = 0;
    for (const ModelRecord& r : fixture.Records())
      bytes += RecordBytes(r.key.size(), r.value.size());
    EXPECT_EQ(stats.live_bytes, bytes);
    EXPECT_EQ(stats.current, Revision(9));
  }
}

TEST(Collector, RevisionStaysWhenEverythingWasCompactedAwayEtcd17780) {
  auto engine = std::make_shared<engine::MemEngine>();
  Fixture fixture(engine);
  fixture.Put("a", "1");
  fixture.Delete("a");  // 3
  ASSERT_TRUE(fixture.Compact(3));
  fixture.CollectAll();
  fixture.Run([](WriteTxn& txn) { txn.Put(Bytes("b"), Bytes("2"), LeaseId()); });  // 4
  fixture.Delete("b");                                                             // 5
  ASSERT_TRUE(fixture.Compact(5));
  fixture.CollectAll();
  EXPECT_EQ(Ids(fixture.Records()), (std::vector<std::string>{"5.0t b"}));
  ASSERT_TRUE(engine->Flush());
  fixture.Reopen(std::shared_ptr<engine::MemEngine>(engine->AfterCrash()));
  EXPECT_EQ(fixture.store().current(), Revision(5));
  EXPECT_EQ(fixture.Put("c", "3"), Revision(6));
}

TEST(Collector, CompactAnswersAsSpecified) {
  Fixture fixture;
  EXPECT_EQ(fixture.store().compacted(), Revision(-1));
  EXPECT_TRUE(fixture.Compact(0)) << "revision 0 succeeds once";
  EXPECT_EQ(fixture.Compact(0).error().code(), ErrorCode::kCompacted);
  fixture.Put("a", "1");
  EXPECT_EQ(fixture.Compact(3).error().code(), ErrorCode::kFutureRevision);
  EXPECT_TRUE(fixture.Compact(2));
  EXPECT_EQ(fixture.Compact(1).error().code(), ErrorCode::kCompacted);
}

TEST(Collector, ReadsBelowFailAtOnceAndAtTheRevisionStillWork) {
  Fixture fixture;
  fixture.Put("a", "1");
  fixture.Put("a", "2");
  fixture.Put("a", "3");
  ASSERT_TRUE(fixture.Compact(3));
  RangeQuery query;
  query.range = KeyRange::Point("a");
  query.at = Revision(2);
  for (int round = 0; round < 2; ++round) {  // before and after collection
    EXPECT_EQ(fixture.store().View().Range(query).error().code(), ErrorCode::kCompacted);
    auto at_revision = fixture.store().View().Get("a", Revision(3));
    ASSERT_TRUE(at_revision);
    EXPECT_EQ((*at_revision)->value.view(), "2");
    fixture.CollectAll();
  }
  EXPECT_FALSE((*fixture.store().ReadRecord({Revision(2), 0})).has_value());
  EXPECT_EQ((*fixture.store().ReadRecord({Revision(3), 0}))->value.view(), "2");
}

TEST(Collector, WaitsForHeldViewsAndCancelsThemAfterTheLimit) {
  Fixture fixture;
  fixture.Put("a", "1");
  fixture.Put("a", "2");
  auto held = fixture.store().Hold(Revision(2));
  ASSERT_TRUE(held);
  ASSERT_TRUE(fixture.Compact(3));
  const TimePoint start(std::chrono::hours(1));
  EXPECT_EQ(fixture.Collect(start).state, CollectStep::State::kWaiting);
  RangeQuery query;
  query.range = KeyRange::Point("a");
  auto still = held->Range(query);
  ASSERT_TRUE(still) << "a view that was there first is not hurt by a compaction";
  EXPECT_EQ(still->kvs.front().value.view(), "1");
  EXPECT_EQ(fixture.Collect(start + std::chrono::seconds(59)).state, CollectStep::State::kWaiting);
  EXPECT_FALSE(held->cancelled());
  EXPECT_EQ(fixture.Collect(start + std::chrono::seconds(60)).state, CollectStep::State::kFinished);
  EXPECT_TRUE(held->cancelled());
  EXPECT_EQ(held->Range(query).error().code(), ErrorCode::kCompacted);
  EXPECT_EQ(fixture.store().stats().views_cancelled, 1U);
  EXPECT_EQ(fixture.store().Hold(Revision(2)).error().code(), ErrorCode::kCompacted);
}

TEST(Collector, RefusedWriteIsRepeated) {
  auto engine = std::make_shared<engine::MemEngine>();
  Fixture fixture(engine);
  const Model model = WriteExample(fixture);
  ASSERT_TRUE(fixture.Compact(9));
  Collector collector(fixture.store());
  engine->SetFull(true);
  EXPECT_EQ(collector.Step(TimePoint()).error().code(), ErrorCode::kNoSpace);
  engine->SetFull(false);
  auto step = collector.Step(TimePoint());
  ASSERT_TRUE(step);
  EXPECT_EQ(step->state, CollectStep::State::kFinished);
  EXPECT_EQ(Ids(fixture.Records()), Ids(model.Kept(9)));
}

TEST(Collector, LongHistoryOfOneKeyIsTrimmedInTheIndex) {
  Fixture fixture;
  for (int i = 0; i < 3000; ++i) fixture.Put("hot", std::to_string(i));
  const size_t before = fixture.store().stats().index_bytes;
  ASSERT_TRUE(fixture.Compact(2990));
  fixture.CollectAll();
  EXPECT_LT(fixture.store().stats().index_bytes, before / 50);
  for (int64_t at = 2990; at <= 3001; ++at) {
    EXPECT_EQ((*fixture.store().View().Get("hot", Revision(at)))->value.view(),
              std::to_string(at - 2));
  }
}

// A revision may have a million records: each step begins where the last one ended, not at the
// revision's first record.
TEST(Collector, AStepBeginsInsideOfARevision) {
  auto engine = std::make_shared<HookedEngine>();
  Fixture fixture(engine);
  fixture.Run([](WriteTxn& txn) {
    for (int i = 0; i < 3500; ++i) txn.Put(Bytes(fmt::format("{:04}", i)), Bytes("x"), LeaseId());
  });
  fixture.Run([](WriteTxn& txn) { txn.DeleteRange(All()); });
  fixture.Put("last", "x");
  ASSERT_TRUE(fixture.Compact(4));
  Collector collector(fixture.store());
  std::vector<std::string> starts;
  auto state = CollectStep::State::kMore;
  while (state == CollectStep::State::kMore) {
    auto step = collector.Step(TimePoint());
    ASSERT_TRUE(step);
    state = step->state;
    starts.push_back(engine->scanned_from());
  }
  EXPECT_GT(starts.size(), 6U);
  EXPECT_TRUE(std::adjacent_find(starts.begin(), starts.end(), std::greater_equal<>()) ==
              starts.end());
}

// A step over one hot key names it once: collecting a key that was written n times costs apply n,
// not n times what is kept of it.
TEST(Collector, OneHotKeyIsTrimmedOnce) {
  Fixture fixture;
  for (int i = 0; i < 6000; ++i) fixture.Put("hot", std::to_string(i));
  ASSERT_TRUE(fixture.Compact(3500));
  Collector collector(fixture.store());
  int steps = 0;
  for (auto state = CollectStep::State::kMore; state == CollectStep::State::kMore; ++steps) {
    auto step = collector.Step(TimePoint());
    ASSERT_TRUE(step);
    state = step->state;
    EXPECT_LE(step->trim.keys.size(), 1U);
    fixture.store().Trim(step->trim);
    fixture.store().Publish();
  }
  EXPECT_GT(steps, 2);
}

}  // namespace
}  // namespace store::mvcc
