// SPDX-License-Identifier: Apache-2.0
#include "store/base/interval_tree.h"

#include "store/base/random.h"
#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace store {
namespace {

using Tree = IntervalTree<std::string, int>;
using Range = Tree::Range;

struct Row {
  Range range;
  int value;
};

// The definition, spelled out over a list.
class NaiveRanges {
 public:
  bool Insert(const Range& range, int value) {
    if (Find(range, value) != rows_.end()) return false;
    rows_.push_back({range, value});
    return true;
  }
  bool Erase(const Range& range, int value) {
    auto row = Find(range, value);
    if (row == rows_.end()) return false;
    rows_.erase(row);
    return true;
  }
  std::vector<int> Stab(const std::string& key) const {
    return Select([&](const Range& r) { return r.from <= key && (!r.to || key < *r.to); });
  }
  // Two half-open ranges meet if the later start lies in both.
  std::vector<int> Overlap(const Range& query) const {
    return Select([&](const Range& r) {
      const std::string& start = std::max(r.from, query.from);
      return (!r.to || start < *r.to) && (!query.to || start < *query.to);
    });
  }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::vector<Row>::iterator Find(const Range& range, int value) {
    return std::ranges::find_if(
        rows_, [&](const Row& row) { return row.range == range && row.value == value; });
  }
  template <class Predicate>
  std::vector<int> Select(Predicate holds) const {
    std::vector<int> values;
    for (const Row& row : rows_) {
      if (holds(row.range)) values.push_back(row.value);
    }
    std::ranges::sort(values);
    return values;
  }
  std::vector<Row> rows_;
};

std::vector<int> Stab(const Tree& tree, std::string_view key) {
  std::vector<int> values;
  tree.Stab(key, [&](const Range&, int value) { values.push_back(value); });
  std::ranges::sort(values);
  return values;
}

std::vector<int> Overlap(const Tree& tree, const Range& query) {
  std::vector<int> values;
  tree.Overlap(query, [&](const Range&, int value) { values.push_back(value); });
  std::ranges::sort(values);
  return values;
}

std::string RandomKey(Random& random) {
  std::string key(random.Below(3), 'a');
  for (char& c : key) c = static_cast<char>('a' + random.Below(5));
  return key;
}

Range RandomRange(Random& random) {
  Range range{RandomKey(random), std::nullopt};
  if (!random.Chance(0.15)) range.to = RandomKey(random);
  return range;
}

TEST(IntervalTreeTest, AgreesWithTheNaiveModel) {
  Random random = SeededRandom("interval_tree");
  Tree tree;
  NaiveRanges model;
  for (int step = 0; step < 20000; ++step) {
    Range range = RandomRange(random);
    int value = static_cast<int>(random.Below(4));
    bool grow = (step / 2000) % 2 == 0;
    if (random.Chance(grow ? 0.7 : 0.3)) {
      ASSERT_EQ(tree.Insert(range, value), model.Insert(range, value));
    } else if (!model.rows().empty() && random.Chance(0.7)) {
      Row row = model.rows()[random.Below(model.rows().size())];
      ASSERT_TRUE(tree.Erase(row.range, row.value));
      ASSERT_TRUE(model.Erase(row.range, row.value));
    } else {
      ASSERT_EQ(tree.Erase(range, value), model.Erase(range, value));
    }
    ASSERT_EQ(tree.size(), model.rows().size());
    if (step % 10 != 0) continue;
    std::string key = RandomKey(random);
    ASSERT_EQ(Stab(tree, key), model.Stab(key)) << key;
    Range query = RandomRange(random);
    ASSERT_EQ(Overlap(tree, query), model.Overlap(query))
        << query.from << " " << query.to.value_or("(end)");
  }
}

TEST(IntervalTreeTest, VisitsInOrderAndStopsWhenTold) {
  Tree tree;
  tree.Insert({"c", "e"}, 3);
  tree.Insert({"a", std::nullopt}, 1);
  tree.Insert({"b", "d"}, 2);
  std::vector<int> seen;
  tree.Stab(std::string_view("c"), [&](const Range&, int value) {
    seen.push_back(value);
    return value != 2;
  });
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST(IntervalTreeTest, StaysShallowForSortedInput) {
  Tree tree;
  // A degenerate tree of this size would overflow the stack of the recursive walks under ASan.
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    std::string key = std::to_string(1000000 + i);
    tree.Insert({key, key + '\0'}, i);
  }
  EXPECT_EQ(Stab(tree, "1123456"), std::vector<int>{123456});
  int all = 0;
  tree.ForEach([&](const Range&, int) { ++all; });
  EXPECT_EQ(all, kCount);
}

}  // namespace
}  // namespace store
