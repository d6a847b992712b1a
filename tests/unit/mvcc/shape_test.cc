// SPDX-License-Identifier: Apache-2.0
// The shape of the hot path, asserted from counts and not from times: what a count touches, and
// that a reader in the middle of a range holds nobody up.
#include "store/base/thread.h"
#include "store/mvcc/key_index.h"
#include "tests/unit/mvcc/model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace store::mvcc {
namespace {

std::string NumberedKey(int number) { return fmt::format("key/{:08}", number); }

TEST(Shape, CountOfAMillionKeysTouchesAFewNodes) {
  constexpr int kKeys = 1'000'000;
  KeyIndex index;
  for (int i = 0; i < kKeys; ++i) {
    KeyFacts facts;
    facts.mod = {Revision(i + 2), 0};
    facts.create = facts.mod.main;
    facts.version = 1;
    // Neither ascending nor random: 7919 has no factor in common with the number of keys.
    const std::string key = NumberedKey(static_cast<int>(int64_t{i} * 7919 % kKeys));
    index.Add(index.Find(key), key, facts);
  }
  const auto count = [&](const KeyRange& range, size_t* touched) {
    *touched = 0;
    return KeyTree::CountLive(index.top(), range, touched);
  };
  // Nodes are at least half full of 64, so a path is at most log32(10^6) + 1 = 5 nodes long.
  constexpr size_t kPath = 5;
  size_t touched = 0;
  EXPECT_EQ(count({{}, {}, true}, &touched), kKeys);
  EXPECT_LE(touched, kPath + 1);
  EXPECT_EQ(count({NumberedKey(1000), NumberedKey(901'000), false}, &touched), 900'000);
  EXPECT_LE(touched, 2 * kPath);
  EXPECT_GE(touched, 2U);
  EXPECT_EQ(count(KeyRange::Point(NumberedKey(5)), &touched), 1);
  EXPECT_LE(touched, 2 * kPath);
}

// SLUICE_PARK_PUTS: the long form; each put is a batch of its own with an engine write and a
// publish, as apply does them.
TEST(Shape, AReaderParkedInsideARangeHoldsNoPutUp) {
  const char* wanted = std::getenv("SLUICE_PARK_PUTS");
  const int puts = wanted != nullptr ? std::atoi(wanted) : 100'000;
  Fixture fixture;
  for (int i = 0; i < 200; ++i) fixture.Put(NumberedKey(i), "old");
  const Revision before = fixture.store().current();

  std::atomic<bool> parked = false;
  std::atomic<bool> released = false;
  std::atomic<int> keys_seen = 0;
  Thread reader("reader", [&] {
    const ReadView view = fixture.store().View();
    view.ForEach({{}, {}, true}, Revision(), [&](std::string_view, const KeyFacts& facts) {
      EXPECT_LE(facts.mod.main, before);
      if (++keys_seen == 100) {
        parked = true;
        parked.notify_one();
        released.wait(false);
      }
      return true;
    });
  });
  parked.wait(false);
  // It stays inside its range while all of these are written, published and read by others.
  for (int i = 0; i < puts; ++i) {
    fixture.Put(NumberedKey(i % 200), "new");
    if (i % 1000 == 0) {
      ASSERT_EQ(fixture.store().View().current(), before + i + 1);
    }
  }
  EXPECT_EQ(fixture.store().current(), before + puts);
  EXPECT_EQ(keys_seen, 100) << "still parked";
  EXPECT_GT(fixture.store().stats().retired_bytes, 0U) << "what it looks at is kept for it";
  released = true;
  released.notify_one();
  reader.Join();
  EXPECT_EQ(keys_seen, 200);
}

}  // namespace
}  // namespace store::mvcc
