// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/cow_btree.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace store::mvcc {
namespace {

struct Item {
  std::string name;
  bool alive = true;
  std::string_view key() const { return name; }
  bool live() const { return alive; }
};
using Tree = CowBtree<Item>;
using Expected = std::map<std::string, bool>;

void FreeGarbage(const std::vector<Garbage>& garbage) {
  for (const Garbage& g : garbage) g.deleter(g.object);
}

void ExpectSame(const Tree::Node* root, const Expected& expected, Random& random) {
  auto want = expected.begin();
  for (Tree::Cursor cursor(root, {}); cursor.Valid(); cursor.Next(), ++want) {
    ASSERT_NE(want, expected.end());
    ASSERT_EQ(cursor.item()->name, want->first);
    ASSERT_EQ(cursor.item()->alive, want->second);
  }
  ASSERT_EQ(want, expected.end());
  for (int i = 0; i < 20; ++i) {
    const std::string key = std::to_string(random.Below(5000));
    int64_t below = 0;
    for (auto it = expected.begin(); it != expected.lower_bound(key); ++it) below += it->second;
    ASSERT_EQ(Tree::Rank(root, key), below) << key;
    Tree::Cursor cursor(root, key);
    auto next = expected.lower_bound(key);
    ASSERT_EQ(cursor.Valid(), next != expected.end());
    if (cursor.Valid()) {
      ASSERT_EQ(cursor.item()->name, next->first);
    }
    auto exact = expected.find(key);
    const Item* item = Tree::Find(root, key);
    ASSERT_EQ(item != nullptr, exact != expected.end());
  }
  std::vector<std::string> names;
  names.reserve(70);
  for (int i = 0; i < 70; ++i) names.push_back(std::to_string(random.Below(5000)));
  const std::vector<std::string_view> keys(names.begin(), names.end());
  std::vector<Item*> found(keys.size());
  Tree::FindTogether(root, keys, found);
  for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(found[i], Tree::Find(root, keys[i]));
}

// Everything the tree has ever held stays allocated, so that old roots can be compared at any time.
class History {
 public:
  Item* Make(std::string name, bool alive) {
    items_.push_back(std::make_unique<Item>(Item{std::move(name), alive}));
    return items_.back().get();
  }

 private:
  std::vector<std::unique_ptr<Item>> items_;
};

TEST(CowBtree, BehavesAsMapAndOldRootsNeverChange) {
  Random random = SeededRandom("cow_btree");
  History history;
  struct Snapshot {
    const Tree::Node* root;
    Expected expected;
  };
  std::vector<Snapshot> snapshots;
  std::vector<Garbage> held;  // freed at the end: snapshots need it
  Expected expected;
  {
    Tree tree;
    uint64_t keys = 200;
    for (int step = 0; step < 100'000; ++step) {
      if (step % 10'000 == 0) keys = step % 20'000 == 0 ? 5000 : 300;  // grow, then shrink
      const std::string key = std::to_string(random.Below(keys));
      auto found = expected.find(key);
      const bool exists = found != expected.end();
      const bool was_live = exists && found->second;
      if (exists && random.Chance(keys < 1000 ? 0.7 : 0.3)) {
        tree.Remove(key, was_live ? -1 : 0);
        expected.erase(found);
      } else {
        const bool alive = random.Chance(0.8);
        tree.Set(history.Make(key, alive), exists, (alive ? 1 : 0) - (was_live ? 1 : 0));
        expected[key] = alive;
      }
      if (random.Chance(0.02)) {
        if (snapshots.size() < 40 && random.Chance(0.05))
          snapshots.push_back({tree.root(), expected});
        tree.NextEpoch();
      }
      if (step % 5000 == 0) {
        tree.CheckInvariants();
        ExpectSame(tree.root(), expected, random);
      }
    }
    tree.CheckInvariants();
    ExpectSame(tree.root(), expected, random);
    for (const Snapshot& snapshot : snapshots) ExpectSame(snapshot.root, snapshot.expected, random);
    held = std::exchange(tree.garbage(), {});
    while (!expected.empty()) {
      tree.Remove(expected.begin()->first, expected.begin()->second ? -1 : 0);
      expected.erase(expected.begin());
    }
    tree.CheckInvariants();
    EXPECT_EQ(Tree::Live(tree.root()), 0);
    EXPECT_LE(tree.bytes(), 4096U);
    FreeGarbage(std::exchange(tree.garbage(), {}));
  }
  FreeGarbage(held);
}

TEST(CowBtree, AscendingKeysFillNodes) {
  History history;
  Tree tree;
  constexpr int kCount = 64 * 64;
  for (int i = 0; i < kCount; ++i) {
    tree.Set(history.Make(fmt::format("{:08}", i), true), false, 1);
  }
  tree.CheckInvariants();
  EXPECT_EQ(Tree::Live(tree.root()), kCount);
  EXPECT_LT(tree.bytes(), kCount * 12U) << "leaves should be more than 90 % full";
  FreeGarbage(std::exchange(tree.garbage(), {}));
}

TEST(CowBtree, LoadedTreeIsLikeAnyOther) {
  Random random = SeededRandom("cow_btree_load");
  for (int count : {0, 1, 59, 60, 61, 3600, 3601, 20'000}) {
    SCOPED_TRACE(count);
    History history;
    Tree tree;
    Expected expected;
    while (static_cast<int>(expected.size()) < count) {
      expected[std::to_string(random.Below(1'000'000))] = random.Chance(0.9);
    }
    std::vector<Item*> items;
    for (const auto& [key, live] : expected) items.push_back(history.Make(key, live));
    tree.Load(items);
    tree.CheckInvariants();
    ExpectSame(tree.root(), expected, random);
    for (int step = 0; step < 3000; ++step) {
      const std::string key = std::to_string(random.Below(1'000'000));
      if (!expected.emplace(key, true).second) continue;
      tree.Set(history.Make(key, true), false, 1);
      auto removed = expected.begin();
      tree.Remove(removed->first, removed->second ? -1 : 0);
      expected.erase(removed);
    }
    tree.CheckInvariants();
    ExpectSame(tree.root(), expected, random);
    FreeGarbage(std::exchange(tree.garbage(), {}));
  }
}

TEST(CowBtree, KeysWithZeroBytesAndPrefixesKeepTheirOrder) {
  History history;
  Tree tree;
  Expected expected;
  Random random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string key;
    for (uint64_t n = random.Below(6); n > 0; --n) key.push_back("\0\x01\xff"[random.Below(3)]);
    const bool exists = expected.contains(key);
    tree.Set(history.Make(key, true), exists, exists ? 0 : 1);
    expected[key] = true;
  }
  tree.CheckInvariants();
  ExpectSame(tree.root(), expected, random);
  FreeGarbage(std::exchange(tree.garbage(), {}));
}

}  // namespace
}  // namespace store::mvcc
