// SPDX-License-Identifier: Apache-2.0
// Range: every combination of order, target, limit, filter and revision against the model.
#include "store/mvcc/range_reader.h"
#include "tests/unit/mvcc/model.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace store::mvcc {
namespace {

// 40 keys with several versions, some deleted, values and leases that do not follow the key order.
Model Fill(Fixture& fixture) {
  Model model;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40; ++i) {
      const std::string key = fmt::format("k{:02}", (i * 17 + round * 5) % 40);
      if (round == 1 && i % 4 == 0) {
        fixture.Delete(key);
        model.Delete(++model.current, 0, key);
      } else if (round != 2 || i % 3 == 0) {
        const std::string value = fmt::format("{}", (i * 31 + round) % 23);
        fixture.Put(key, value, i % 5);
        model.Put(++model.current, 0, key, value, i % 5);
      }
    }
  }
  return model;
}

class RangeOptions : public testing::Test {
 protected:
  RangeOptions() : model_(Fill(fixture_)) {}

  void Compare(const RangeQuery& query) {
    const std::string expected = Show(model_.Range(query));
    ASSERT_EQ(Show(fixture_.store().View().Range(query)), expected);
    auto held = fixture_.store().Hold(query.at);
    ASSERT_TRUE(held);
    ASSERT_EQ(Show(held->Range(query)), expected);
    fixture_.Run([&](WriteTxn& txn) { ASSERT_EQ(Show(txn.Range(query)), expected); });
  }
  // Calls `run` with every pair of bounds worth trying for one field.
  template <class Run>
  void WithBounds(Revision RangeQuery::* low, Revision RangeQuery::* high, RangeQuery query,
                  Run run) {
    for (int64_t from : {0, 20, 70}) {
      for (int64_t to : {0, 20, 90}) {
        query.*low = Revision(from);
        query.*high = Revision(to);
        run(query);
      }
    }
  }

  // `query` with every limit at every revision worth telling apart.
  void CompareLimitsAndRevisions(RangeQuery query) {
    for (int64_t limit : {-1, 0, 1, 5, 39, 40, 41}) {
      for (int64_t at : {-3, 0, 41, 60}) {
        query.limit = limit;
        query.at = Revision(at);
        query.keys_only = limit == 5;
        Compare(query);
      }
    }
  }

  // All rows, and those of a filter.
  void CompareLargeLimits(RangeQuery query) {
    for (int64_t limit : {1, 2, 1000, 2000}) {
      query.limit = limit;
      query.min_mod = Revision(0);
      Compare(query);
      query.min_mod = Revision(2500);
      Compare(query);
    }
  }

  // The whole range, put together from pieces of `bytes`.
  Result<RangeResult> Streamed(const RangeQuery& query, size_t bytes) {
    auto held = fixture_.store().Hold(query.at);
    RangeStream stream(std::move(*held), query);
    RangeResult whole;
    for (bool last = false; !last;) {
      auto chunk = stream.Next(bytes);
      if (!chunk) return tl::unexpected(chunk.error());
      size_t size = 0;
      for (KeyValue& kv : chunk->kvs) {
        size += kv.key.size() + kv.value.size();
        whole.kvs.push_back(std::move(kv));
      }
      EXPECT_TRUE(size <= bytes || chunk->kvs.size() == 1);
      last = chunk->last;
      whole.more = chunk->more;
      whole.count = chunk->count;
      whole.current = chunk->current;
    }
    return whole;
  }

  Fixture fixture_;
  Model model_;
};

TEST_F(RangeOptions, AllCombinations) {
  const std::vector<KeyRange> ranges = {All(), KeyRange::FromRequest("k05", "k31"),
                                        KeyRange::Point("k07"), KeyRange::FromRequest("k3", "k1")};
  for (const KeyRange& range : ranges) {
    for (int order = 0; order < 3; ++order) {
      for (int target = 0; target < 5; ++target) {
        RangeQuery query;
        query.range = range;
        query.order = static_cast<SortOrder>(order);
        query.target = static_cast<SortTarget>(target);
        CompareLimitsAndRevisions(query);
      }
    }
  }
}

TEST_F(RangeOptions, FiltersWithEveryOrder) {
  for (int order = 0; order < 3; ++order) {
    for (int target = 0; target < 5; ++target) {
      for (int64_t limit : {0, 3}) {
        RangeQuery query;
        query.range = All();
        query.order = static_cast<SortOrder>(order);
        query.target = static_cast<SortTarget>(target);
        query.limit = limit;
        WithBounds(&RangeQuery::min_mod, &RangeQuery::max_mod, query, [&](const RangeQuery& outer) {
          WithBounds(&RangeQuery::min_create, &RangeQuery::max_create, outer,
                     [&](const RangeQuery& inner) { Compare(inner); });
        });
        if (HasFatalFailure()) return;
      }
    }
  }
}

// More keys than a sorted range with a limit holds.
TEST_F(RangeOptions, ManyKeysWithALimit) {
  constexpr int kKeys = 5 * static_cast<int>(kRowsMin);
  for (int i = 0; i < kKeys + kKeys / 3; ++i) {
    const std::string key = fmt::format("m{:05}", i * 2741 % kKeys);
    fixture_.Put(key, "x", 0);
    model_.Put(++model_.current, 0, key, "x", 0);
  }
  for (int order = 0; order < 3; ++order) {
    for (int target = 0; target < 4; ++target) {
      SCOPED_TRACE(fmt::format("order {} target {}", order, target));
      RangeQuery query;
      query.range = All();
      query.order = static_cast<SortOrder>(order);
      query.target = static_cast<SortTarget>(target);
      CompareLargeLimits(query);
    }
  }
}

TEST_F(RangeOptions, CountIgnoresLimitAndFilters) {
  RangeQuery query;
  query.range = All();
  query.limit = 2;
  query.min_mod = Revision(60);
  auto result = fixture_.store().View().Range(query);
  EXPECT_EQ(result->count, static_cast<int64_t>(model_.LiveIn(All(), model_.current).size()));
  query.count_only = true;
  result = fixture_.store().View().Range(query);
  EXPECT_TRUE(result->kvs.empty());
  EXPECT_FALSE(result->more);
  EXPECT_EQ(result->count, fixture_.store().View().Count(All()));
}

TEST_F(RangeOptions, RevisionsOutsideAreRefused) {
  RangeQuery query;
  query.range = All();
  query.at = Revision(model_.current + 1);
  EXPECT_EQ(fixture_.store().View().Range(query).error().code(), ErrorCode::kFutureRevision);
  ASSERT_TRUE(fixture_.Compact(30));
  query.at = Revision(29);
  EXPECT_EQ(fixture_.store().View().Range(query).error().code(), ErrorCode::kCompacted);
  const ReadView view = fixture_.store().View();
  EXPECT_TRUE(view.CheckRevision(Revision(0)));
  EXPECT_TRUE(view.CheckRevision(Revision(30)));
  EXPECT_EQ(view.CheckRevision(Revision(-5)).error().code(), ErrorCode::kCompacted);
}

TEST_F(RangeOptions, StreamInAnyPiecesIsTheWholeRange) {
  for (int64_t limit : {0, 1, 7, 25, 100}) {
    for (size_t bytes : {1, 12, 100, 100'000}) {
      for (int64_t at : {0, 50}) {
        SCOPED_TRACE(fmt::format("limit {} bytes {} at {}", limit, bytes, at));
        RangeQuery query;
        query.range = KeyRange::FromRequest("k03", "k99");
        query.limit = limit;
        query.at = Revision(at);
        EXPECT_EQ(Show(Streamed(query, bytes)), Show(model_.Range(query)));
      }
    }
  }
}

}  // namespace
}  // namespace store::mvcc
