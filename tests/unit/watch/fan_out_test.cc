// SPDX-License-Identifier: Apache-2.0
// What watchers share, and how responses are cut.
#include "store/watch/fan_out.h"

#include "store/watch/watch_response.h"
#include "tests/unit/watch/hub_fixture.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace store::watch {
namespace {

KeyRange All() { return KeyRange::FromRequest("a", std::string_view("\0", 1)); }

TEST(FanOut, EventsAreEncodedOncePerRangeAndFilterClass) {
  HubFixture f;
  auto stream = f.Open(1);
  for (int i = 0; i < 50; ++i) f.Create(1, {.range = KeyRange::Point("a")});
  for (int i = 0; i < 50; ++i) f.Create(1, {.range = KeyRange::Point("a"), .prev_kv = true});
  f.Run();
  stream->got.clear();
  f.PutNow("a", "1");
  f.Run();
  EXPECT_EQ(stream->got.size(), 100u);
  EXPECT_EQ(f.encodings(), 2u);
  std::set<const WatchEvents*> distinct;
  for (const auto& response : stream->got) distinct.insert(response->events.get());
  EXPECT_EQ(distinct.size(), 2u);
}

TEST(FanOut, PreviousValueIsSharedByAllWhoWantIt) {
  HubFixture f;
  f.PutNow("a", "0");
  auto stream = f.Open(1);
  f.Create(1, {.range = KeyRange::Point("a"), .prev_kv = true});
  f.Create(1, {.range = All(), .prev_kv = true});
  f.Create(1, {.range = All()});
  f.Run();
  stream->got.clear();
  f.PutNow("a", "1");
  f.Run();
  ASSERT_EQ(stream->got.size(), 3u);
  const auto& first = stream->got[0]->events->events.front();
  EXPECT_EQ(first.prev->value.view(), "0");
  EXPECT_EQ(first.prev, stream->got[1]->events->events.front().prev);
  EXPECT_EQ(stream->got[2]->events->events.front().prev, nullptr);
  EXPECT_FALSE(stream->got[2]->events->with_prev);
}

TEST(FanOut, LaggardsShareASliceEachFromItsOwnRevision) {
  HubFixture f;
  for (int i = 0; i < 5; ++i) f.Put("a", "x");
  f.Publish();
  f.Run();
  auto stream = f.Open(1);
  for (int64_t start : {2, 4, 2, 6}) f.Create(1, {.range = All(), .start = Revision(start)});
  f.Run();
  std::vector<size_t> counts(4);
  while (WatchResponsePtr response = stream->Take()) {
    if (response->events)
      counts[static_cast<size_t>(response->id)] += response->events->events.size();
  }
  EXPECT_EQ(counts, (std::vector<size_t>{5, 3, 5, 1}));
  EXPECT_EQ(f.encodings(), 3u);
}

TEST(CutFragments, KeepsResponsesBelowTheLimit) {
  const std::vector<size_t> sizes{100, 100, 900, 10};
  EXPECT_EQ(CutFragments(sizes, 5000), std::vector<size_t>{4});
  EXPECT_EQ(CutFragments(sizes, 400), (std::vector<size_t>{2, 1, 1}));
  EXPECT_EQ(CutFragments(sizes, 236), (std::vector<size_t>{1, 1, 1, 1})) << "the header counts";
  EXPECT_EQ(CutFragments(sizes, 237), (std::vector<size_t>{2, 1, 1})) << "the limit itself is cut";
  EXPECT_EQ(CutFragments(std::span(sizes).first(1), 1), std::vector<size_t>{1});
}

TEST(FanOut, OversizedResponseIsWholeUnlessFragmentsAreAskedFor) {
  WatchLimits limits;
  limits.fragment_bytes_max = 186;
  HubFixture f(limits);
  auto stream = f.Open(1);
  f.Create(1, {.id = 1, .range = All()});
  f.Create(1, {.id = 2, .range = All(), .fragment = true});
  f.Run();
  stream->got.clear();
  f.ChangeAll({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  f.Publish();
  f.Run();
  std::vector<std::pair<WatchId, bool>> pieces;
  for (const auto& response : stream->got) {
    EXPECT_EQ(response->header, Revision(2));
    pieces.emplace_back(response->id, response->fragment);
  }
  EXPECT_EQ(pieces, (std::vector<std::pair<WatchId, bool>>{{1, false}, {2, true}, {2, false}}));
}

}  // namespace
}  // namespace store::watch
