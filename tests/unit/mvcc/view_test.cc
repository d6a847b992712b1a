// SPDX-License-Identifier: Apache-2.0
// Views: what readers see while apply goes on, when memory is freed, and that threads agree.
#include "store/base/failpoint.h"
#include "store/base/thread.h"
#include "store/engine/mem_engine.h"
#include "tests/unit/base/failpoint_count.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/mvcc/model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace store::mvcc {
namespace {

std::string ValueOf(const ReadView& view, std::string_view key, int64_t at = 0) {
  auto kv = view.Get(key, Revision(at));
  if (!kv) return std::string(Name(kv.error().code()));
  return kv->has_value() ? std::string((*kv)->value.view()) : "(none)";
}

TEST(Epoch, RetiredObjectsLiveUntilEveryOlderGuardIsGone) {
  EpochDomain epochs;
  int freed = 0;
  auto old_guard = epochs.Enter();
  epochs.Retire([&freed] { ++freed; }, 100);
  EXPECT_EQ(epochs.retired_bytes(), 100U);
  epochs.Seal();
  auto new_guard = epochs.Enter();
  epochs.Seal();
  EXPECT_EQ(freed, 0);
  old_guard.Release();
  epochs.Seal();
  EXPECT_EQ(freed, 1) << "a guard taken after the seal does not hold it back";
  EXPECT_EQ(epochs.retired_bytes(), 0U);
  epochs.Retire([&freed] { ++freed; }, 1);
  EXPECT_EQ(freed, 1) << "never before the next seal";
}

TEST(View, DoesNotSeeABatchBeforePublish) {
  Fixture fixture;
  fixture.Put("a", "1");
  auto batch = fixture.engine().NewBatch();
  WriteTxn txn = fixture.store().Begin(*batch);
  txn.Put(Bytes("a"), Bytes("2"), LeaseId());
  EXPECT_EQ(txn.Commit(), Revision(3));
  EXPECT_EQ(ValueOf(fixture.store().View(), "a"), "1");
  EXPECT_EQ(fixture.store().current(), Revision(2));
  ASSERT_TRUE(fixture.engine().Write(*batch));
  const ReadView before = fixture.store().View();
  const EventBatchPtr events = fixture.store().Publish();
  EXPECT_EQ(ValueOf(before, "a"), "1");
  EXPECT_EQ(before.current(), Revision(2));
  EXPECT_EQ(ValueOf(fixture.store().View(), "a"), "2");
  EXPECT_EQ(events->first, Revision(3));
  EXPECT_EQ(events->last, Revision(3));
  EXPECT_EQ(events->events.at(0).previous, (RecordId{Revision(2), 0}));
}

TEST(View, ManyKeysFoundTogetherReadAsOneByOne) {
  Fixture fixture;
  fixture.Run([](WriteTxn& txn) {
    for (int i = 0; i < 60'000; ++i) {
      txn.Put(Bytes("k" + std::to_string(i)), Bytes(std::to_string(i)), LeaseId());
    }
  });
  const std::vector<std::string_view> keys = {"k59999", "", "none", "k0", "zzz"};
  std::vector<std::string_view> many;
  while (many.size() < 35) many.insert(many.end(), keys.begin(), keys.end());
  const ReadView view = fixture.store().View();
  view.FindKeys({}, {});
  std::vector<KeyPlace> places(many.size());
  view.FindKeys(many, places);
  for (size_t i = 0; i < many.size(); ++i) {
    ASSERT_TRUE(places[i].known);
    RangeQuery query;
    query.range = KeyRange::Point(many[i]);
    const auto alone = view.Range(query);
    const auto found = view.Range(query, places[i]);
    ASSERT_TRUE(alone && found);
    EXPECT_EQ(found->count, alone->count);
    ASSERT_EQ(found->kvs.size(), alone->kvs.size());
    if (!found->kvs.empty()) {
      EXPECT_EQ(found->kvs[0].value.view(), many[i].substr(1));
    }
  }
}

TEST(View, FewKeysAreNotLookedForTogether) {
  Fixture fixture;
  fixture.Run([](WriteTxn& txn) { txn.Put(Bytes("a"), Bytes("1"), LeaseId()); });
  const std::vector<std::string_view> keys = {"a", "b"};
  std::vector<KeyPlace> places(keys.size());
  fixture.store().View().FindKeys(keys, places);
  EXPECT_FALSE(places[0].known);
  EXPECT_FALSE(places[1].known);
}

TEST(View, LaterTransactionsOfABatchSeeEarlierOnes) {
  Fixture fixture;
  auto batch = fixture.engine().NewBatch();
  {
    WriteTxn txn = fixture.store().Begin(*batch);
    txn.Put(Bytes("a"), Bytes("first"), LeaseId(7));
    txn.Commit();
  }
  WriteTxn txn = fixture.store().Begin(*batch);
  EXPECT_EQ(txn.next(), Revision(3));
  EXPECT_EQ(txn.now(), Revision(2));
  const auto facts = txn.Lookup("a");
  ASSERT_TRUE(facts);
  EXPECT_EQ((*txn.Value(*facts)).view(), "first") << "it is not in the engine yet";
  const PutOutcome outcome = txn.Put(Bytes("a"), Bytes("second"), LeaseId());
  EXPECT_EQ((*txn.Load(Bytes("a"), *outcome.before)).value.view(), "first");
  RangeQuery query;
  query.range = KeyRange::Point("a");
  EXPECT_EQ(txn.Range(query)->kvs.at(0).value.view(), "second");
  query.at = Revision(2);
  EXPECT_EQ(txn.Range(query)->kvs.at(0).value.view(), "first");
  EXPECT_EQ(txn.CheckRevision(Revision(3)).error().code(), ErrorCode::kFutureRevision);
  EXPECT_EQ(txn.CheckRevision(Revision(-2)).error().code(), ErrorCode::kCompacted);
  txn.Commit();
  ASSERT_TRUE(fixture.engine().Write(*batch));
  EXPECT_EQ(fixture.store().Publish()->events.size(), 2U);
}

TEST(View, EmptyTransactionCostsNoRevision) {
  Fixture fixture;
  const EventBatchPtr events = fixture.Run([](WriteTxn& txn) {
    EXPECT_TRUE(txn.DeleteRange(All()).empty());
    EXPECT_EQ(txn.now(), Revision(1));
  });
  EXPECT_TRUE(events->events.empty());
  EXPECT_EQ(events->last, Revision(1));
  EXPECT_EQ(fixture.store().current(), Revision(1));
}

TEST(View, DeleteRangeGoesInKeyOrderWithinOneRevision) {
  Fixture fixture;
  for (const char* key : {"b", "a", "c"}) fixture.Put(key, "v");
  const EventBatchPtr events =
      fixture.Run([](WriteTxn& txn) { EXPECT_EQ(txn.DeleteRange(All()).size(), 3U); });
  ASSERT_EQ(events->events.size(), 3U);
  for (uint32_t i = 0; i < 3; ++i) {
    const Event& event = events->events[i];
    EXPECT_EQ(event.id, (RecordId{Revision(5), i}));
    EXPECT_EQ(event.kv.key.view(), std::string(1, static_cast<char>('a' + i)));
    EXPECT_EQ(event.type, EventType::kDelete);
    EXPECT_TRUE(event.previous.valid());
    EXPECT_EQ(event.kv.version, 0);
  }
  EXPECT_EQ(fixture.store().stats().puts, 3U);
  EXPECT_EQ(fixture.store().stats().deletes, 1U) << "of ranges";
}

TEST(View, PairOfStateAndRootStaysReadableBetweenTheTwoPublishes) {
  // Apply publishes the index first and the pointer that names its root a moment later.
  Fixture fixture;
  for (int i = 0; i < 500; ++i) fixture.Put(fmt::format("k{:03}", i), "old");
  const IndexRoot* named = fixture.store().root();
  fixture.Put("k000", "new");  // the published pointer still names the old root
  const ReadView view = fixture.store().ViewAt(fixture.store().epochs().Enter(), named);
  EXPECT_EQ(ValueOf(view, "k000"), "old");
  EXPECT_EQ(view.Count(All()), 500);
}

TEST(View, RetiredMemoryIsBoundedWithoutReadersAndReturnsAfterOne) {
  Fixture fixture;
  for (int i = 0; i < 2000; ++i) fixture.Put(fmt::format("k{:04}", i), "v");
  EXPECT_LT(fixture.store().stats().retired_bytes, 100'000U);
  {
    const ReadView view = fixture.store().View();
    for (int i = 0; i < 1000; ++i) fixture.Put("k0000", "v");
    EXPECT_GT(fixture.store().stats().retired_bytes, 1'000'000U);
    EXPECT_EQ(view.Count(All()), 2000);
  }
  fixture.Put("k0000", "v");
  EXPECT_LT(fixture.store().stats().retired_bytes, 100'000U);
}

TEST(View, HeldViewReadsItsRevisionThroughNewerRoots) {
  Fixture fixture;
  for (int i = 0; i < 300; ++i) fixture.Put(fmt::format("k{:03}", i), "old");
  RangeQuery query;
  query.range = All();
  auto held = fixture.store().Hold();
  RangeStream stream(std::move(*held), query);
  size_t seen = 0;
  for (bool last = false; !last;) {
    auto chunk = stream.Next(200);
    ASSERT_TRUE(chunk);
    for (const KeyValue& kv : chunk->kvs) {
      EXPECT_EQ(kv.value.view(), "old");
      ++seen;
    }
    fixture.Put(fmt::format("k{:03}", seen % 300), "new");
    fixture.Delete("k299");
    if (!chunk->last) continue;
    last = true;
    EXPECT_EQ(chunk->count, 300);
    EXPECT_EQ(chunk->current, Revision(301));
  }
  EXPECT_EQ(seen, 300U);
}

// A client that lists and then watches from the revision behind the answer's must miss nothing.
TEST(View, WhatAHeldViewAnswersIsNotOlderThanTheRevisionItNames) {
  Fixture fixture;
  fixture.Put("a", "1");
  RangeQuery query;
  query.range = All();
  auto held = fixture.store().Hold();
  auto for_stream = fixture.store().Hold();
  auto older = fixture.store().Hold(Revision(1));
  fixture.Put("a", "2");
  auto result = held->Range(query);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kvs.at(0).value.view(), "1");
  EXPECT_EQ(result->current, Revision(2));
  RangeStream stream(std::move(*for_stream), query);
  auto chunk = stream.Next(1000);
  ASSERT_TRUE(chunk && chunk->last);
  EXPECT_EQ(chunk->kvs.at(0).value.view(), "1");
  EXPECT_EQ(chunk->current, Revision(2));
  // Of an old revision it is the store's at the time of the read, as etcd's.
  query.at = Revision(1);
  EXPECT_EQ(older->Range(query)->current, Revision(3));
}

TEST(View, InstallReplacesEverythingAndOldReadersFinishEtcd20271) {
  auto first = std::make_shared<engine::MemEngine>();
  Fixture fixture(first);
  fixture.Put("a", "old");
  auto other = std::make_shared<engine::MemEngine>();
  {
    Fixture source(other);
    for (int i = 0; i < 5; ++i) source.Put("a", "new");
  }
  auto held = fixture.store().Hold();
  {
    const ReadView view = fixture.store().View();
    ASSERT_TRUE(fixture.store().Install(other));
    EXPECT_EQ(ValueOf(view, "a"), "old");
    EXPECT_EQ(ValueOf(fixture.store().View(), "a"), "new");
    EXPECT_EQ(fixture.store().current(), Revision(6));
    EXPECT_EQ(held->Enter().error().code(), ErrorCode::kCompacted);
  }
}

TEST(View, ScanStopsAtThePublishedRevisionAndLoadsValues) {
  Fixture fixture;
  fixture.Put("a", "1", 5);
  fixture.Put("b", "");
  fixture.Delete("a");
  RevisionScan scan = fixture.store().Scan(Revision(2), Revision(1000));
  ASSERT_TRUE(scan.Valid());
  EXPECT_EQ(scan.header().key, "a");
  EXPECT_EQ(scan.size_bytes(), 2U);
  EXPECT_EQ(scan.Load()->kv.value.view(), "1");
  EXPECT_EQ(scan.Load()->kv.lease, LeaseId(5));
  scan.Next();
  EXPECT_EQ(scan.Load()->kv.value.view(), "");
  scan.Next();
  EXPECT_EQ(scan.type(), EventType::kDelete);
  EXPECT_EQ(scan.header().previous, (RecordId{Revision(2), 0}));
  EXPECT_EQ((*fixture.store().ReadRecord(scan.header().previous))->value.view(), "1");
  scan.Next();
  EXPECT_FALSE(scan.Valid());
  EXPECT_TRUE(scan.status());
}

// Every transaction writes the same number to all keys, so any view that is not one revision shows.
void ReadUntil(const std::atomic<bool>& stop, const MvccStore& store, std::atomic<int>& torn) {
  RangeQuery query;
  query.range = KeyRange::FromRequest("pair", "paiz");
  while (!stop.load(std::memory_order_relaxed)) {
    auto held = store.Hold();
    const auto check = [&](const Result<RangeResult>& result) {
      if (!result) {
        if (result.error().code() != ErrorCode::kCompacted) ++torn;
        return;
      }
      if (result->kvs.size() != 100) ++torn;
      for (const KeyValue& kv : result->kvs) {
        if (!(kv.value == result->kvs.front().value)) ++torn;
      }
    };
    check(store.View().Range(query));
    if (held) check(held->Range(query));
    RevisionScan scan = store.Scan(store.current(), store.current());
    for (; scan.Valid(); scan.Next()) {
      if (scan.header().key.empty()) ++torn;
    }
  }
}

TEST(View, ReadersAndWriterAgreeWhileCompactionsRun) {
  Fixture fixture;
  auto write = [&](int number) {
    fixture.Run([number](WriteTxn& txn) {
      for (int i = 0; i < 100; ++i) {
        txn.Put(Bytes(fmt::format("pair{:02}", i)), Bytes(std::to_string(number)), LeaseId());
      }
      txn.Put(Bytes(fmt::format("z{}", number % 50)), Bytes("x"), LeaseId());
      txn.DeleteRange(KeyRange::Point(fmt::format("z{}", (number + 25) % 50)));
    });
  };
  write(0);
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  {
    std::vector<Thread> readers;
    readers.reserve(3);
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back("reader", [&] { ReadUntil(stop, fixture.store(), torn); });
    }
    for (int i = 1; i < 300; ++i) {
      write(i);
      if (i % 10 == 0) {
        EXPECT_TRUE(fixture.Compact(fixture.store().current().value() - 3));
      }
      fixture.Collect(TimePoint(std::chrono::seconds(i)));
    }
    stop = true;
  }
  EXPECT_EQ(torn, 0);
}

// Lost rows must not pass for an answer: this member would skip a write that the others apply.
TEST(WriteTxn, AValueThatIsMissingIsCorruption) {
  Fixture fixture;
  fixture.Put("a", "1");
  auto lost = fixture.engine().NewBatch();
  lost->Delete(engine::Table::kVal, RecordKey({Revision(2), 0}));
  ASSERT_TRUE(fixture.engine().Write(*lost));
  const KeyFacts facts = *fixture.store().View().Lookup("a", Revision());
  RangeQuery query;
  query.range = KeyRange::Point("a");
  auto batch = fixture.engine().NewBatch();
  WriteTxn txn = fixture.store().Begin(*batch);
  EXPECT_EQ(txn.Value(facts).error().code(), ErrorCode::kCorruption);
  EXPECT_EQ(txn.Range(query).error().code(), ErrorCode::kCorruption);
}

// A reader that begins while a snapshot is installed gets the new state or a refusal, never what is
// left of its revision in the new state.
TEST(View, HeldDuringAnInstallIsOfTheNewStateOrRefused) {
  Fixture source;
  for (int i = 0; i < 10; ++i) source.Put("k" + std::to_string(i % 3), std::to_string(i));
  ASSERT_TRUE(source.Compact(9));
  source.CollectAll();
  Fixture fixture;
  for (int i = 0; i < 5; ++i) fixture.Put("k" + std::to_string(i % 3), std::to_string(i));
  Failpoints::CountPasses();
  auto passes = [] { return CountOf("mvcc-install-cancelled").passes; };
  const uint64_t before = passes();
  ASSERT_TRUE(Failpoints::Parse("mvcc-install-cancelled=sleep(300)"));
  std::optional<Result<HeldView>> old;
  std::optional<Result<HeldView>> newest;
  {
    Thread reader("reader", [&] {
      while (passes() == before) std::this_thread::yield();
      old.emplace(fixture.store().Hold(Revision(4)));
      newest.emplace(fixture.store().Hold(Revision()));
    });
    EXPECT_TRUE(fixture.store().Install(source.store().engine()));
  }
  Failpoints::DisarmAll();
  ASSERT_FALSE(*old);
  EXPECT_EQ(old->error().code(), ErrorCode::kCompacted);
  ASSERT_TRUE(*newest);
  EXPECT_EQ((*newest)->revision(), Revision(11));
  old.reset();
  newest.reset();
}

}  // namespace
}  // namespace store::mvcc
