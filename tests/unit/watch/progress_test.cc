// SPDX-License-Identifier: Apache-2.0
// Progress: what was asked for and what comes by itself.
#include "tests/unit/watch/hub_fixture.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace store::watch {
namespace {

KeyRange All() { return KeyRange::FromRequest("a", std::string_view("\0", 1)); }

void ExpectProgress(FakeStream& stream, WatchId id, int64_t revision) {
  WatchResponsePtr notice = stream.Take();
  ASSERT_NE(notice, nullptr);
  EXPECT_EQ(notice->id, id);
  EXPECT_EQ(notice->header, Revision(revision));
  EXPECT_EQ(notice->events, nullptr);
  EXPECT_FALSE(notice->created || notice->canceled);
}

TEST(WatchProgress, RequestIsAnsweredForTheWholeStream) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.Watch(1, stream);
  f.PutNow("A", "not watched");
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  ExpectProgress(*stream, kNoWatch, 2);
  EXPECT_EQ(stream->Take(), nullptr);
}

TEST(WatchProgress, NoAnswerWithoutWatchers) {
  HubFixture f;
  auto stream = f.Open(1);
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  f.Watch(1, stream);
  f.PutNow("a", "1");
  f.Run();
  EXPECT_EQ(Text(*stream->Take()), "put a=1@2");
  EXPECT_EQ(stream->Take(), nullptr);
}

// etcd #15220: the notice must not come before events it covers.
TEST(WatchProgress, AnswerComesBehindTheEventsPublishedBeforeEtcd15220) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.Put("a", "1");
  mvcc::EventBatchPtr late = f.Commit();
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr) << "revision 2 is published, its event not delivered";
  f.hub().Publish(late);
  f.Run();
  EXPECT_EQ(Text(*stream->Take()), "put a=1@2");
  ExpectProgress(*stream, kNoWatch, 2);
}

TEST(WatchProgress, AnswerWaitsForLaggingWatchers) {
  WatchLimits limits;
  limits.slice_revisions_max = 5;
  HubFixture f(limits);
  for (int i = 0; i < 20; ++i) f.Put("a", "x");
  f.Publish();
  f.Run();
  auto stream = f.Open(1);
  f.Create(1, {.range = All(), .start = Revision(2)});
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  EXPECT_TRUE(stream->Take()->created);
  Revision seen;
  while (stream->got.size() > 1) seen = stream->Take()->events->events.back().event.kv.mod;
  EXPECT_EQ(seen, Revision(21));
  ExpectProgress(*stream, kNoWatch, 21);
}

// etcd #20221.
TEST(WatchProgress, WatcherOfTheFutureGetsNoNoticesEtcd20221) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.range = All(), .start = Revision(3), .progress_notify = true});
  f.Watch(1, stream, {.range = KeyRange::Point("z")});
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  f.clock().Advance(std::chrono::minutes(11));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr);
  f.PutNow("a", "1");
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  f.clock().Advance(std::chrono::minutes(11));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr) << "start is one above the current revision";
  f.PutNow("a", "2");
  f.Run();
  EXPECT_EQ(Text(*stream->Take()), "put a=2@3");
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  ExpectProgress(*stream, kNoWatch, 3);
}

TEST(WatchProgress, NotifyComesInQuietPeriodsOnly) {
  HubFixture f;
  auto stream = f.Open(1);
  EXPECT_EQ(f.hub().NextDeadline(), TimePoint::max());
  f.Watch(1, stream, {.id = 4, .range = All(), .progress_notify = true});
  EXPECT_EQ(f.hub().NextDeadline(), f.clock().Now() + std::chrono::minutes(10));
  f.PutNow("a", "1");
  f.Run();
  EXPECT_EQ(Text(*stream->Take()), "put a=1@2");
  f.clock().Advance(std::chrono::minutes(10));
  f.PutNow("A", "2");
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr) << "an event came in this period";
  f.clock().Advance(std::chrono::minutes(10));
  f.Run();
  ExpectProgress(*stream, 4, 3);
  f.clock().Advance(std::chrono::minutes(9));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr);
  f.hub().Cancel(StreamId(1), 4);
  f.Run();
  EXPECT_EQ(f.hub().NextDeadline(), TimePoint::max());
}

// A client that saw revision 3 named must not be told next that the store stands at 2.
TEST(WatchProgress, HeadersDoNotGoBackBehindAnAnswer) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  f.Put("a", "1");
  mvcc::EventBatchPtr second = f.Commit();
  f.Put("b", "1");
  mvcc::EventBatchPtr third = f.Commit();
  f.Create(1, {.range = KeyRange::Point("z")});
  f.Run();
  EXPECT_EQ(stream->Take()->header, Revision(3));
  f.hub().Publish(second);
  f.Run();
  WatchResponsePtr first = stream->Take();
  EXPECT_EQ(Text(*first), "put a=1@2");
  EXPECT_EQ(first->header, Revision(3));
  f.hub().Publish(third);
  f.Run();
  EXPECT_EQ(stream->Take()->header, Revision(3));
}

// One that lags reads what is published already, and its header named that; the hub was behind.
TEST(WatchProgress, HeadersDoNotGoBackBehindASlice) {
  HubFixture f;
  f.PutNow("a", "1");
  f.Run();
  auto stream = f.Open(1);
  f.Put("a", "2");
  mvcc::EventBatchPtr third = f.Commit();
  f.Put("a", "3");
  mvcc::EventBatchPtr fourth = f.Commit();
  f.Watch(1, stream, {.range = All(), .start = Revision(2)});
  Revision newest;
  auto take_all = [&] {
    while (WatchResponsePtr next = stream->Take()) {
      EXPECT_GE(next->header, newest) << Text(*next);
      newest = next->header;
    }
  };
  take_all();
  f.hub().Publish(third);
  f.Run();
  take_all();
  f.hub().Publish(fourth);
  f.Run();
  take_all();
  EXPECT_EQ(newest, Revision(4));
}

TEST(WatchProgress, NoticeIsNotBelowWhatAnAnswerNamed) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream, {.id = 4, .range = All(), .progress_notify = true});
  f.hub().RequestProgress(StreamId(1));
  f.Put("A", "not watched");
  mvcc::EventBatchPtr second = f.Commit();
  f.Create(1, {.range = KeyRange::Point("z")});
  f.Run();
  ExpectProgress(*stream, kNoWatch, 1);
  EXPECT_EQ(stream->Take()->header, Revision(2));
  f.clock().Advance(std::chrono::minutes(10));
  f.Run();
  EXPECT_EQ(stream->Take(), nullptr) << "revision 2 was named, the hub stands at 1";
  f.hub().Publish(second);
  f.clock().Advance(std::chrono::minutes(10));
  f.Run();
  ExpectProgress(*stream, 4, 2);
}

TEST(WatchProgress, RefusedAnswerIsGivenWhenTheStreamHasDrained) {
  HubFixture f;
  auto stream = f.Open(1);
  f.Watch(1, stream);
  stream->room = 0;
  f.hub().RequestProgress(StreamId(1));
  f.Run();
  f.PutNow("a", "1");
  f.Run();
  f.Drained(1, *stream, 10);
  f.Run();
  EXPECT_EQ(Text(*stream->Take()), "put a=1@2");
  ExpectProgress(*stream, kNoWatch, 2);
  EXPECT_EQ(stream->Take(), nullptr);
}

}  // namespace
}  // namespace store::watch
