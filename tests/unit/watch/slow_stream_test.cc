// SPDX-License-Identifier: Apache-2.0
// Streams that refuse, queues that overflow, state that is replaced.
#include "tests/unit/mvcc/hooked_engine.h"
#include "tests/unit/watch/hub_fixture.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace store::watch {
namespace {

KeyRange All() { return KeyRange::FromRequest("a", std::string_view("\0", 1)); }

// Events in the order of arrival, per watch: "1:put a=1@2".
std::vector<std::string> Drain(FakeStream& stream) {
  std::vector<std::string> lines;
  while (WatchResponsePtr response = stream.Take()) {
    lines.push_back(fmt::format("{}:{}{}", response->id,
                                response->created    ? "created"
                                : response->canceled ? "canceled"
                                                     : "",
                                Text(*response)));
  }
  return lines;
}
using Lines = std::vector<std::string>;

// Refused events are read again from the store.
WatchLimits NothingKept() {
  WatchLimits limits;
  limits.kept_bytes_max = 0;
  return limits;
}

// etcd #17529: events of a starving stream were lost.
TEST(SlowStream, IsDemotedAndCaughtUpFromTheStoreEtcd17529) {
  HubFixture f(NothingKept());
  auto slow = f.Open(1);
  auto quick = f.Open(2);
  f.Watch(1, slow);
  f.Watch(2, quick);
  slow->room = 1;
  for (const char* value : {"1", "2", "3"}) f.PutNow("a", value);
  f.Run();
  EXPECT_EQ(Drain(*slow), Lines{"0:put a=1@2"});
  EXPECT_EQ(Drain(*quick), (Lines{"0:put a=1@2", "0:put a=2@3", "0:put a=3@4"}));
  EXPECT_EQ(f.hub().stats().lagging, 1u);
  EXPECT_EQ(f.hub().stats().demotions, 1u);
  f.Drained(1, *slow, 10);
  f.PutNow("a", "4");
  f.Run();
  EXPECT_EQ(Drain(*slow), Lines{"0:put a=2@3 put a=3@4 put a=4@5"});
  EXPECT_EQ(f.hub().stats().lagging, 0u);
}

TEST(SlowStream, WatchersOfOneStreamAreIndependent) {
  HubFixture f(NothingKept());
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 1, .range = All()});
  f.Watch(1, stream, {.id = 2, .range = All()});
  f.Watch(1, stream, {.id = 3, .range = KeyRange::Point("b")});
  stream->room = 1;
  f.PutNow("a", "1");
  f.PutNow("b", "2");
  f.Run();
  EXPECT_EQ(Drain(*stream), Lines{"1:put a=1@2"});
  f.Drained(1, *stream, 10);
  f.Run();
  std::map<std::string, int> lines;
  for (const std::string& line : Drain(*stream)) ++lines[line];
  EXPECT_EQ(lines, (std::map<std::string, int>{
                       {"1:put b=2@3", 1}, {"2:put a=1@2 put b=2@3", 1}, {"3:put b=2@3", 1}}));
}

TEST(SlowStream, AnswersKeepTheirOrderAndComeBeforeEvents) {
  HubFixture f;
  auto stream = f.Open(1);
  stream->room = 0;
  f.Create(1, {.id = 1, .range = All()});
  f.Create(1, {.id = 2, .range = All()});
  f.Run();
  f.PutNow("a", "1");
  f.hub().Cancel(StreamId(1), 2);
  f.Run();
  EXPECT_TRUE(stream->got.empty());
  f.Drained(1, *stream, 2);
  f.Run();
  EXPECT_EQ(Drain(*stream), (Lines{"1:created", "2:created"}));
  f.Drained(1, *stream, 10);
  f.Run();
  EXPECT_EQ(Drain(*stream), (Lines{"2:canceled", "1:put a=1@2"}));
}

TEST(SlowStream, IsCanceledIfCompactionOvertakesIt) {
  HubFixture f(NothingKept());
  auto stream = f.Open(1);
  f.Watch(1, stream);
  stream->room = 0;
  for (const char* value : {"1", "2", "3", "4"}) f.PutNow("a", value);
  f.Run();
  f.CompactAway(Revision(4));
  f.Drained(1, *stream, 10);
  f.Run();
  WatchResponsePtr canceled = stream->Take();
  ASSERT_NE(canceled, nullptr);
  EXPECT_TRUE(canceled->canceled);
  EXPECT_EQ(canceled->compacted, Revision(4));
  EXPECT_EQ(stream->Take(), nullptr);
}

// Else the history is read, and every watcher moved, once for as many as the stream takes.
TEST(SlowStream, WhatItMissedOfABatchIsKept) {
  constexpr size_t kWatchers = 1000;
  HubFixture f;
  auto stream = f.Open(1);
  for (size_t i = 0; i < kWatchers; ++i) f.Create(1, {.range = KeyRange::Point("a")});
  f.Run();
  stream->got.clear();
  stream->room = 10;
  f.PutNow("a", "1");
  f.Run();
  f.PutNow("a", "2");
  f.Run();
  std::vector<Lines> lines(kWatchers);
  for (size_t took = 10; took > 0; took = stream->got.size()) {
    while (WatchResponsePtr response = stream->Take()) {
      lines.at(static_cast<size_t>(response->id)).push_back(Text(*response));
    }
    f.Drained(1, *stream, 100);
    f.Run();
  }
  for (const Lines& watcher : lines) ASSERT_EQ(watcher, (Lines{"put a=1@2", "put a=2@3"}));
  EXPECT_EQ(f.encodings(), 2u);
  EXPECT_EQ(f.hub().stats().lagging, 0u);
}

// What is not kept is not put together either.
TEST(SlowStream, KeepsNoMoreThanItsLimit) {
  WatchLimits limits;
  limits.kept_bytes_max = 3000;
  HubFixture f(limits);
  auto stream = f.Open(1);
  for (int i = 0; i < 100; ++i) {
    f.Create(1, {.range = KeyRange::FromRequest(fmt::format("a{:03}", i), "b")});
  }
  f.Run();
  stream->got.clear();
  stream->room = 1;
  f.PutNow("az", std::string(900, 'x'));
  f.Run();
  EXPECT_EQ(f.encodings(), 5u) << "one taken, three kept, one refused";
  f.PutNow("az", "2");
  f.Run();
  EXPECT_EQ(f.encodings(), 5u) << "nothing is offered to a full stream";
  f.Drained(1, *stream, 1 << 20);
  f.Run();
  std::map<WatchId, size_t> events;
  while (WatchResponsePtr response = stream->Take()) {
    events[response->id] += response->events->events.size();
  }
  EXPECT_EQ(events.size(), 100u);
  for (const auto& [id, count] : events) EXPECT_EQ(count, 2u) << id;
}

TEST(SlowStream, KeptEventsComeBeforeTheEndOfTheirWatcher) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 1, .range = All()});
  f.Watch(1, stream, {.id = 2, .range = All()});
  stream->room = 0;
  for (const char* value : {"1", "2", "3", "4"}) f.PutNow("a", value);
  f.Run();
  f.hub().Cancel(StreamId(1), 2);
  f.Run();
  f.CompactAway(Revision(5));
  f.Drained(1, *stream, 10);
  f.Run();
  EXPECT_EQ(Drain(*stream), (Lines{"1:put a=1@2", "2:put a=1@2", "2:canceled", "1:canceled"}));
}

TEST(SlowStream, SyncedWatcherIsNotTouchedByCompaction) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.PutNow("a", "1");
  f.PutNow("a", "2");
  f.Compact(Revision(3));
  f.Publish();
  f.PutNow("a", "3");
  f.Run();
  EXPECT_EQ(Drain(*stream), (Lines{"0:put a=1@2", "0:put a=2@3", "0:put a=3@4"}));
}

TEST(SlowStream, FragmentsAreNotMixedUpByARefusal) {
  WatchLimits limits;
  limits.fragment_bytes_max = 336;
  HubFixture f(limits);
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .fragment = true});
  f.ChangeAll({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}});
  f.Publish();
  stream->room = 1;
  f.Run();
  f.PutNow("a", "6");
  f.Run();
  f.Drained(1, *stream, 10);
  f.Run();
  std::vector<bool> marks;
  std::string text;
  while (WatchResponsePtr response = stream->Take()) {
    marks.push_back(response->fragment);
    text += Text(*response) + ";";
  }
  EXPECT_EQ(marks, (std::vector<bool>{true, false, false}));
  EXPECT_EQ(text, "put a=1@2 put b=2@2 put c=3@2 put d=4@2;put e=5@2;put a=6@3;");
}

TEST(HubQueue, DroppedBatchIsReadFromTheStore) {
  WatchLimits limits;
  limits.queue_bytes_max = 1000;
  HubFixture f(limits);
  auto stream = f.Open(1);
  auto future = f.Open(2);
  f.Watch(1, stream);
  f.Watch(2, future, {.range = All(), .start = Revision(4)});
  for (int i = 0; i < 10; ++i) f.PutNow("a", std::to_string(i));
  EXPECT_GT(f.hub().stats().batches_dropped, 0u);
  f.Run();
  std::string all;
  while (WatchResponsePtr response = stream->Take()) all += Text(*response) + " ";
  EXPECT_EQ(all,
            "put a=0@2 put a=1@3 put a=2@4 put a=3@5 put a=4@6 put a=5@7 put a=6@8 put a=7@9 "
            "put a=8@10 put a=9@11 ");
  EXPECT_EQ(future->Take()->events->events.front().event.kv.mod, Revision(4));
  EXPECT_EQ(f.hub().stats().lagging, 0u);
}

TEST(HubQueue, GapBetweenBatchesIsSeen) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.Put("a", "1");
  f.Commit();  // never published
  f.PutNow("a", "2");
  f.Run();
  // The batch at hand is delivered to those in sync again after the gap; this one reads both.
  EXPECT_EQ(Drain(*stream), Lines{"0:put a=1@2 put a=2@3"});
}

// etcd #15271: after partition and install a watch went back in time.
TEST(HubReset, WatchersGoOnFromTheirNextRevision) {
  HubFixture source;
  for (int i = 1; i <= 6; ++i) source.PutNow("a", std::to_string(i));
  HubFixture f;
  auto synced = f.Open(1);
  auto future = f.Open(2);
  f.Watch(1, synced);
  f.Watch(2, future, {.range = All(), .start = Revision(9)});
  for (int i = 1; i <= 2; ++i) f.PutNow("a", std::to_string(i));
  f.Run();
  EXPECT_EQ(Drain(*synced), (Lines{"0:put a=1@2", "0:put a=2@3"}));
  ASSERT_TRUE(f.store().Install(source.store_engine()));
  f.hub().Reset(f.store().current());
  f.Run();
  EXPECT_EQ(Drain(*synced), Lines{"0:put a=3@4 put a=4@5 put a=5@6 put a=6@7"});
  EXPECT_EQ(Drain(*future), Lines{});
}

TEST(HubReset, WatcherAboveTheInstalledRevisionWaitsThereEtcd15271) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .progress_notify = true});
  for (int i = 1; i <= 3; ++i) f.PutNow("a", std::to_string(i));
  f.Run();
  Drain(*stream);
  HubFixture source;
  source.PutNow("a", "1");
  ASSERT_TRUE(f.store().Install(source.store_engine()));
  f.hub().Reset(f.store().current());
  f.hub().RequestProgress(StreamId(1));
  f.clock().Advance(std::chrono::minutes(11));
  f.Run();
  EXPECT_EQ(Drain(*stream), Lines{}) << "it has seen 4 already";
}

// A revision may put a key and delete it again. Compacted exactly there, its put is collected while
// a slice has its cursor: it is left out, as it is when the collection came first.
TEST(SlowStream, APutThatItsOwnRevisionTookBackMayGoWhileItIsRead) {
  auto engine = std::make_shared<mvcc::HookedEngine>();
  HubFixture f({}, engine);
  auto stream = f.Open(1);
  f.PutNow("a", "first");
  f.ChangeAll({{"b", "short life"}, {"b", std::nullopt}});
  f.Commit();  // not published: watchers find it in the state
  f.PutNow("a", "last");
  f.Run();
  f.Compact(Revision(3));
  f.Publish();
  engine->BeforeGet(engine::Table::kVal, [&f] { f.Collect(); });
  f.Create(1,
           {.range = KeyRange::FromRequest("a", std::string_view("\0", 1)), .start = Revision(3)});
  f.Run();
  std::string seen;
  while (WatchResponsePtr response = stream->Take()) seen += Text(*response) + ";";
  EXPECT_EQ(seen, ";del b@3 put a=last@4;");
}

}  // namespace
}  // namespace store::watch
