// SPDX-License-Identifier: Apache-2.0
// What a client of one watch sees: created, events from past, present and future, filters, cancels.
#include "store/watch/watch_hub.h"

#include "tests/unit/watch/hub_fixture.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace store::watch {
namespace {

KeyRange All() { return KeyRange::FromRequest("a", std::string_view("\0", 1)); }

std::vector<std::string> Texts(FakeStream& stream) {
  std::vector<std::string> texts;
  while (WatchResponsePtr response = stream.Take()) texts.push_back(Text(*response));
  return texts;
}
using Lines = std::vector<std::string>;

TEST(WatchHub, CreatedComesFirstWithTheRevisionOfThatMoment) {
  HubFixture f;
  auto stream = f.Open(1);
  f.PutNow("a", "1");
  f.Create(1, {.range = KeyRange::Point("a")});
  f.PutNow("a", "2");
  f.Run();
  WatchResponsePtr created = stream->Take();
  ASSERT_NE(created, nullptr);
  EXPECT_TRUE(created->created);
  EXPECT_FALSE(created->canceled);
  EXPECT_EQ(created->id, 0);
  EXPECT_EQ(created->header, Revision(2));
  WatchResponsePtr event = stream->Take();
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(Text(*event), "put a=2@3");
  EXPECT_EQ(event->header, Revision(3));
  EXPECT_TRUE(event->events->encoded.view().starts_with("1 events"));
  EXPECT_EQ(stream->Take(), nullptr);
}

TEST(WatchHub, WatchersAndTheirKeysAreBounded) {
  WatchLimits limits;
  limits.watcher_bytes_max = 20'000;
  HubFixture f(limits);
  auto stream = f.Open(1);
  f.Create(1, {.range = KeyRange::Point("a")});
  f.Create(1, {.range = KeyRange::Point(std::string(10'000, 'k'))});
  f.Run();
  EXPECT_FALSE(stream->Take()->canceled);
  WatchResponsePtr refused = stream->Take();
  EXPECT_TRUE(refused->created && refused->canceled);
  EXPECT_EQ(refused->cancel_reason, "etcdserver: too many watchers");
  EXPECT_GT(f.hub().stats().watcher_bytes, 0u);
  f.hub().Close(StreamId(1));
  f.Run();
  EXPECT_EQ(f.hub().stats().watcher_bytes, 0u);
}

TEST(WatchHub, NowIsThePublishedRevisionEvenIfTheHubLagsBehind) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Put("a", "1");
  mvcc::EventBatchPtr late = f.Commit();
  f.Create(1, {.range = All()});
  f.hub().Publish(late);
  f.Run();
  EXPECT_EQ(stream->Take()->header, Revision(2));
  EXPECT_EQ(stream->Take(), nullptr) << "an event of before the create";
  f.PutNow("a", "2");
  f.Run();
  EXPECT_EQ(Texts(*stream), Lines{"put a=2@3"});
}

TEST(WatchHub, StartInThePastReplaysInclusive) {
  HubFixture f;
  for (const char* value : {"1", "2", "3"}) f.PutNow("a", value);
  f.PutNow("b", "4");
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = KeyRange::Point("a"), .start = Revision(3)});
  WatchResponsePtr past = stream->Take();
  ASSERT_NE(past, nullptr);
  EXPECT_EQ(Text(*past), "put a=2@3 put a=3@4");
  EXPECT_EQ(past->header, Revision(5)) << "store's revision when the batch was built";
  f.PutNow("a", "5");
  f.Run();
  EXPECT_EQ(Texts(*stream), Lines{"put a=5@6"});
}

TEST(WatchHub, StartInTheFutureWaitsSilently) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .start = Revision(4)});
  f.PutNow("a", "1");
  f.PutNow("a", "2");
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr);
  f.Put("a", "3");
  f.Put("b", "4");
  f.Publish();
  f.Run();
  EXPECT_EQ(Texts(*stream), Lines{"put a=3@4 put b=4@5"});
}

TEST(WatchHub, FutureStartInTheMiddleOfABatch) {
  HubFixture f;
  auto now = f.Open(1);
  auto future = f.Open(2);
  f.Watch(1, now);
  f.Watch(2, future, {.range = All(), .start = Revision(3)});
  f.Put("a", "1");
  f.Put("a", "2");
  f.Put("a", "3");
  f.Publish();
  f.Run();
  EXPECT_EQ(Texts(*now), Lines{"put a=1@2 put a=2@3 put a=3@4"});
  EXPECT_EQ(Texts(*future), Lines{"put a=2@3 put a=3@4"});
}

TEST(WatchHub, PrefixRangeAndKeySeeTheirKeysOnly) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Create(1, {.id = 11, .range = KeyRange::Point("ab")});
  f.Create(1, {.id = 12, .range = KeyRange::FromRequest("ab", "ac")});
  f.Create(1, {.id = 13, .range = KeyRange::FromRequest("b", std::string_view("\0", 1))});
  f.Run();
  Texts(*stream);
  f.ChangeAll({{"ab", "1"}, {"abc", "2"}, {"c", "3"}, {"aa", "4"}});
  f.Publish();
  f.Run();
  std::map<WatchId, std::string> got;
  while (WatchResponsePtr response = stream->Take()) got[response->id] += Text(*response);
  EXPECT_EQ(got, (std::map<WatchId, std::string>{
                     {11, "put ab=1@2"}, {12, "put ab=1@2 put abc=2@2"}, {13, "put c=3@2"}}));
}

TEST(WatchHub, FiltersDropEventsAndEmptyBatchesAreNotSent) {
  HubFixture f;
  f.PutNow("a", "0");
  auto stream = f.Open(1);
  f.Create(1, {.id = 1, .range = All(), .no_put = true});
  f.Create(1, {.id = 2, .range = All(), .no_delete = true});
  f.Create(1, {.id = 3, .range = All(), .no_put = true, .no_delete = true});
  f.Create(1, {.id = 4, .range = All(), .start = Revision(2), .no_put = true});
  f.Run();
  Texts(*stream);
  f.PutNow("a", "1");
  f.Delete(KeyRange::Point("a"));
  f.Publish();
  f.Run();
  std::map<WatchId, Lines> got;
  while (WatchResponsePtr response = stream->Take()) got[response->id].push_back(Text(*response));
  EXPECT_EQ(got,
            (std::map<WatchId, Lines>{{1, {"del a@4"}}, {2, {"put a=1@3"}}, {4, {"del a@4"}}}));
}

TEST(WatchHub, PreviousValuesLiveAndReplayed) {
  HubFixture f;
  auto live = f.Open(1);
  f.Watch(1, live, {.range = All(), .prev_kv = true});
  f.PutNow("a", "1");
  f.PutNow("a", "2");
  f.Delete(KeyRange::Point("a"));
  f.Publish();
  f.PutNow("a", "3");
  f.Run();
  const Lines expected{"put a=1@2", "put a=2@3(was 1)", "del a@4(was 2)", "put a=3@5"};
  EXPECT_EQ(Texts(*live), expected) << "a creating put has none, also when the key lived before";
  auto replay = f.Open(2);
  f.Watch(2, replay, {.range = All(), .start = Revision(2), .prev_kv = true});
  EXPECT_EQ(Texts(*replay), Lines{"put a=1@2 put a=2@3(was 1) del a@4(was 2) put a=3@5"});
}

TEST(WatchHub, PreviousValueIsThatOfTheRevisionBefore) {
  HubFixture f;
  auto live = f.Open(1);
  f.Watch(1, live, {.range = All(), .prev_kv = true});
  f.PutNow("a", "1");
  f.ChangeAll({{"a", "2"}, {"a", "3"}, {"a", {}}});
  f.Publish();
  // A life that begins and ends within a revision has no value before it.
  f.ChangeAll({{"a", "4"}, {"a", "5"}, {"a", {}}});
  f.Publish();
  f.PutNow("a", "6");
  // The second life of the revision: its put has none, its end has that of the first.
  f.ChangeAll({{"a", {}}, {"a", "7"}, {"a", {}}});
  f.Publish();
  f.Run();
  const std::string expected =
      "put a=1@2 put a=2@3(was 1) put a=3@3(was 1) del a@3(was 1) put a=4@4 put a=5@4 del a@4 "
      "put a=6@5 del a@6(was 6) put a=7@6 del a@6(was 6)";
  EXPECT_EQ(fmt::format("{}", fmt::join(Texts(*live), " ")), expected);
  auto replay = f.Open(2);
  f.Watch(2, replay, {.range = All(), .start = Revision(2), .prev_kv = true});
  EXPECT_EQ(Texts(*replay), Lines{expected});
  f.Compact(Revision(6));
  f.Publish();
  f.Run();
  f.Watch(2, replay, {.range = All(), .start = Revision(6), .prev_kv = true});
  EXPECT_EQ(Texts(*replay), Lines{"del a@6 put a=7@6 del a@6"}) << "compacted";
}

TEST(WatchHub, PreviousValueIsLeftOutIfCompacted) {
  HubFixture f;
  f.PutNow("a", "1");
  f.PutNow("a", "2");
  f.PutNow("a", "3");
  f.Compact(Revision(3));
  f.Publish();
  f.Run();
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .start = Revision(3), .prev_kv = true});
  EXPECT_EQ(Texts(*stream), Lines{"put a=2@3 put a=3@4(was 2)"});
}

TEST(WatchHub, StartBelowTheCompactedRevisionIsCreatedThenCanceled) {
  HubFixture f;
  for (int i = 0; i < 5; ++i) f.PutNow("a", "x");
  f.Compact(Revision(4));
  f.Publish();
  f.Run();
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 7, .range = All(), .start = Revision(3)});
  WatchResponsePtr canceled = stream->Take();
  ASSERT_NE(canceled, nullptr);
  EXPECT_TRUE(canceled->canceled);
  EXPECT_FALSE(canceled->created);
  EXPECT_EQ(canceled->id, 7);
  EXPECT_EQ(canceled->header, Revision(0));
  EXPECT_EQ(canceled->compacted, Revision(4));
  EXPECT_EQ(canceled->cancel_reason, "");
  EXPECT_EQ(stream->Take(), nullptr);
  EXPECT_EQ(f.hub().stats().watchers, 0u);
}

TEST(WatchHub, ACompactedWatcherKeepsItsIdUntilItIsCanceled) {
  HubFixture f;
  for (int i = 0; i < 5; ++i) f.PutNow("a", "x");
  f.Compact(Revision(4));
  f.Publish();
  f.Run();
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 7, .range = All(), .start = Revision(3)});
  stream->Take();
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr) << "no progress of such a stream";
  f.hub().Create(StreamId(1), {.id = 7, .range = All()});
  f.Run();
  WatchResponsePtr refused = stream->Take();
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
  f.hub().Cancel(StreamId(1), 7);
  f.Run();
  WatchResponsePtr canceled = stream->Take();
  ASSERT_NE(canceled, nullptr);
  EXPECT_TRUE(canceled->canceled);
  f.Watch(1, stream, {.id = 7, .range = All()});
}

// etcd #18089, #19179: the delete at the compacted revision itself must still be seen.
TEST(WatchHub, DeleteAtTheCompactedRevisionIsReplayedEtcd18089And19179) {
  HubFixture f;
  f.PutNow("a", "1");
  f.Delete(KeyRange::Point("a"));
  f.Publish();
  f.PutNow("b", "2");
  f.CompactAway(Revision(3));
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .start = Revision(3)});
  EXPECT_EQ(Texts(*stream), Lines{"del a@3 put b=2@4"});
}

TEST(WatchHub, RefusalsHaveEtcdsTexts) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 5, .range = All()});
  f.Create(1, {.id = 5, .range = All()});
  f.Create(1, {.range = KeyRange::FromRequest("b", "a")});
  f.Create(1, {.range = All(), .start = Revision(-1)});
  f.hub().Refuse(StreamId(1), "rpc error: no");
  f.Run();
  for (const char* reason :
       {"mvcc: duplicate watch ID provided on the WatchStream", "mvcc: watcher range is empty",
        "etcdserver: mvcc: required revision has been compacted", "rpc error: no"}) {
    WatchResponsePtr refused = stream->Take();
    ASSERT_NE(refused, nullptr);
    EXPECT_TRUE(refused->created && refused->canceled);
    EXPECT_EQ(refused->id, kNoWatch);
    EXPECT_EQ(refused->compacted, Revision(0));
    EXPECT_EQ(refused->cancel_reason, reason);
  }
}

TEST(WatchHub, AutomaticIdsCountUpAndSkipTakenOnes) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Create(1, {.id = 1, .range = All()});
  f.Create(1, {.id = -9, .range = All()});
  for (int i = 0; i < 2; ++i) f.Create(1, {.range = All()});
  f.hub().Cancel(StreamId(1), 0);
  f.Create(1, {.range = All()});
  f.Run();
  std::vector<WatchId> ids;
  while (WatchResponsePtr response = stream->Take()) ids.push_back(response->id);
  EXPECT_EQ(ids, (std::vector<WatchId>{1, -9, 0, 2, 0, 3}));
}

TEST(WatchHub, CancelAnswersOnceAndUnknownIdsNotAtAll) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 3, .range = All()});
  f.PutNow("a", "1");
  f.hub().Cancel(StreamId(1), 4);
  f.hub().Cancel(StreamId(1), 3);
  f.hub().Cancel(StreamId(1), 3);
  f.PutNow("a", "2");
  f.Run();
  EXPECT_EQ(Text(*stream->Take()), "put a=1@2");
  WatchResponsePtr canceled = stream->Take();
  ASSERT_NE(canceled, nullptr);
  EXPECT_TRUE(canceled->canceled);
  EXPECT_EQ(canceled->id, 3);
  EXPECT_EQ(canceled->header, Revision(2));
  EXPECT_EQ(stream->Take(), nullptr);
  f.Watch(1, stream, {.id = 3, .range = All()});
  EXPECT_EQ(f.hub().stats().watchers, 1u);
}

TEST(WatchHub, ClosedStreamGetsNothing) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.hub().Close(StreamId(1));
  f.PutNow("a", "1");
  f.Create(1, {.range = All()});
  f.hub().RequestProgress(StreamId(1));
  f.hub().OnDrained(StreamId(1));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr);
  EXPECT_EQ(f.hub().stats().streams, 0u);
  EXPECT_EQ(f.hub().stats().watchers, 0u);
}

// etcd #17247: an event was handed out twice; a batch that comes again or overlaps changes nothing.
TEST(WatchHub, EveryEventIsDeliveredOnceEtcd17247) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.Put("a", "1");
  f.Put("a", "2");
  mvcc::EventBatchPtr batch = f.Commit();
  f.hub().Publish(batch);
  f.hub().Publish(batch);
  f.Run();
  f.hub().Publish(batch);
  f.Run();
  EXPECT_EQ(Texts(*stream), Lines{"put a=1@2 put a=2@3"});
}

TEST(WatchHub, EventsOfOneRevisionComeTogether) {
  HubFixture f;
  f.ChangeAll({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  f.Publish();
  auto past = f.Open(1);
  f.Watch(1, past, {.range = All(), .start = Revision(1)});
  EXPECT_EQ(Texts(*past), Lines{"put a=1@2 put b=2@2 put c=3@2"});
}

TEST(WatchHub, CatchUpReadsAtMostSliceRevisionsAtOnce) {
  WatchLimits limits;
  limits.slice_revisions_max = 10;
  HubFixture f(limits);
  for (int i = 0; i < 35; ++i) f.Put("a", "x");
  f.Publish();
  f.Run();
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .start = Revision(2)});
  std::vector<size_t> sizes;
  int64_t next = 2;
  while (WatchResponsePtr response = stream->Take()) {
    sizes.push_back(response->events->events.size());
    for (const WatchEvent& event : response->events->events) {
      EXPECT_EQ(event.event.kv.mod, Revision(next++));
    }
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{10, 10, 10, 5}));
}

// A machine that has no time for the hub gives it 5 ms in which nothing is done.
TEST(WatchHub, AShortHistoryComesAtOnceHoweverLittleTimeThereIs) {
  HubFixture f;
  auto stream = f.Open(1);
  for (int i = 0; i < 200; ++i) f.Put("a", std::to_string(i));
  f.Publish();
  f.clock().RunBy(std::chrono::seconds(1));
  f.Watch(1, stream, {.range = KeyRange::Point("a"), .start = Revision(2)});
  f.Run();
  std::vector<size_t> sizes;
  while (WatchResponsePtr response = stream->Take()) {
    sizes.push_back(response->events->events.size());
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{64, 64, 64, 8}));
}

TEST(WatchHub, IdleHubIsWokenByEveryKindOfPost) {
  HubFixture f;
  int wakes = 0;
  f.hub().SetWake([&] { ++wakes; });
  auto stream = f.Open(1);
  EXPECT_EQ(wakes, 1);
  f.Run();
  f.PutNow("a", "1");
  EXPECT_EQ(wakes, 2);
  f.Run();
  f.hub().OnDrained(StreamId(1));
  EXPECT_EQ(wakes, 3);
}

}  // namespace
}  // namespace store::watch
