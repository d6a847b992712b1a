// SPDX-License-Identifier: Apache-2.0
// HashKV: the bytes written out by hand, and a slow second implementation of the checksum and of
// the rules.
#include "store/mvcc/kv_hash.h"

#include "tests/unit/base/seed.h"
#include "tests/unit/mvcc/hooked_engine.h"
#include "tests/unit/mvcc/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace store::mvcc {
namespace {

// CRC-32C bit by bit.
uint32_t SlowCrc(std::string_view bytes) {
  uint32_t crc = ~uint32_t{0};
  for (char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

std::string SlowVarint(uint64_t value) {
  std::string out;
  for (; value >= 128; value /= 128) out.push_back(static_cast<char>(value % 128 + 128));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string SlowBytes(char tag, const std::string& bytes) {
  return bytes.empty() ? "" : tag + SlowVarint(bytes.size()) + bytes;
}
std::string SlowNumber(char tag, int64_t value) {
  return value == 0 ? "" : tag + SlowVarint(static_cast<uint64_t>(value));
}
std::string SlowBigEndian(uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

std::string SlowRow(const ModelRecord& r) {
  const std::string main = SlowBigEndian(static_cast<uint64_t>(r.id.main.value()));
  std::string row = main + "_" + SlowBigEndian(r.id.sub) + (r.tombstone ? "t" : "");
  row += SlowBytes(0x0a, r.key);
  if (r.tombstone) return row;
  return row + SlowNumber(0x10, r.create) + SlowNumber(0x18, r.id.main.value()) +
         SlowNumber(0x20, r.version) + SlowBytes(0x2a, r.value) + SlowNumber(0x30, r.lease);
}

uint32_t SlowHash(const Model& model, int64_t at) {
  std::string bytes = "key";
  const int64_t live_at = model.LiveIn({{}, {}, true}, at).empty() ? model.compacted : at;
  for (const ModelRecord& r : model.history) {
    if (r.id.main.value() > at) continue;
    if (r.id.main.value() <= model.compacted) {
      const ModelRecord* live = model.At(r.key, live_at);
      if (live == nullptr || live->id != r.id) continue;
    }
    bytes += SlowRow(r);
  }
  return SlowCrc(bytes);
}

TEST(KvHash, OnePutByHand) {
  Fixture fixture;
  fixture.Put("foo", "bar", 9);
  const std::string row(
      "key"
      "\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0"  // revision 2, sub 0
      "\x0a\x03"
      "foo\x10\x02\x18\x02\x20\x01\x2a\x03"  // create 2, mod 2, version 1
      "bar\x30\x09",                         // lease 9
      3 + 17 + 2 + 3 + 8 + 3 + 2);
  auto hash = fixture.store().HashByRevision(Revision());
  ASSERT_TRUE(hash);
  EXPECT_EQ(hash->hash, SlowCrc(row));
  EXPECT_EQ(hash->at, Revision(2));
  EXPECT_EQ(hash->compacted, Revision(-1));
  EXPECT_EQ(hash->current, Revision(2));
}

TEST(KvHash, EmptyStoreHashesTheBucketName) {
  Fixture fixture;
  EXPECT_EQ(fixture.store().HashByRevision(Revision())->hash, SlowCrc("key"));
}

TEST(KvHash, NegativeLeaseTakesTenBytes) {
  Fixture fixture;
  fixture.Put("k", "", -1);
  Model model;
  model.Put(2, 0, "k", "", -1);
  EXPECT_EQ(fixture.store().HashByRevision(Revision())->hash, SlowHash(model, 2));
}

// As etcd 3.4.23 and 3.7.3 do it: tests/compat compares the numbers themselves.
TEST(KvHash, WhatWasOverwrittenAfterACompactionCountsNoMore) {
  Fixture fixture;
  Model model;
  for (int64_t main = 2; main <= 4; ++main) {
    const std::string key = main == 3 ? "other" : "k";
    fixture.Put(key, "v", 0);
    model.Put(main, 0, key, "v", 0);
    if (main != 3) continue;
    ASSERT_TRUE(fixture.Compact(3));
    model.compacted = 3;
  }
  EXPECT_EQ(fixture.store().HashByRevision(Revision(3))->hash, SlowHash(model, 3));
  const std::string rows = "key" + SlowRow(model.history[1]) + SlowRow(model.history[2]);
  EXPECT_EQ(fixture.store().HashByRevision(Revision(4))->hash, SlowCrc(rows));
}

TEST(KvHash, WithoutALiveKeyWhatTheCompactionKeptCounts) {
  Fixture fixture;
  Model model;
  fixture.Put("k", "v", 0);
  model.Put(2, 0, "k", "v", 0);
  ASSERT_TRUE(fixture.Compact(2));
  fixture.Delete("k");
  model.Delete(3, 0, "k");
  const std::string rows = "key" + SlowRow(model.history[0]) + SlowRow(model.history[1]);
  EXPECT_EQ(fixture.store().HashByRevision(Revision(3))->hash, SlowCrc(rows));
}

TEST(KvHash, WhenEverythingIsDeletedLongHistoriesAreFoundToo) {
  Random random = SeededRandom("kv_hash_deleted");
  for (int round = 0; round < 30; ++round) {
    Fixture fixture;
    Model model;
    const auto put = [&](const std::string& key, int64_t lease) {
      fixture.Put(key, "v", lease);
      model.Put(++model.current, 0, key, "v", lease);
    };
    const auto erase = [&](const std::string& key) {
      if (model.At(key, INT64_MAX) == nullptr) return;
      fixture.Delete(key);
      model.Delete(++model.current, 0, key);
    };
    const auto change = [&](uint64_t times) {
      for (; times > 0; --times) {
        const std::string key = fmt::format("k{}", random.Below(6));
        random.Chance(0.8) ? put(key, static_cast<int64_t>(random.Below(3))) : erase(key);
      }
    };
    change(random.Between(1, 200));
    put("last", 0);
    // A first round of one change leaves less history than the greatest step back.
    const int64_t back = static_cast<int64_t>(random.Below(5));
    const int64_t compaction = std::max<int64_t>(model.current - back, 1);
    ASSERT_TRUE(fixture.Compact(compaction));
    model.compacted = compaction;
    if (random.Chance(0.5)) {
      while (fixture.Collect().state != CollectStep::State::kIdle) continue;
    }
    change(random.Below(50));
    for (int key = 0; key < 6; ++key) erase(fmt::format("k{}", key));
    erase("last");
    auto hash = fixture.store().HashByRevision(Revision(model.current));
    ASSERT_TRUE(hash) << hash.error().ToString();
    EXPECT_EQ(hash->hash, SlowHash(model, model.current)) << "round " << round;
  }
}

TEST(KvHash, SameAtEveryRevisionBeforeDuringAndAfterCollection) {
  Random random = SeededRandom("kv_hash");
  MvccOptions options;
  options.collect_batch = 3;
  Fixture fixture(std::make_shared<engine::MemEngine>(), options);
  Model model;
  while (model.current < 120) {
    const std::string key = fmt::format("k{}", random.Below(12));
    const int64_t next = model.current + 1;
    if (random.Chance(0.7)) {
      const std::string value(random.Below(200), 'v');
      fixture.Put(key, value, next % 3);
      model.Put(next, 0, key, value, next % 3);
    } else {
      if (model.At(key, INT64_MAX) == nullptr) continue;
      fixture.Delete(key);
      model.Delete(next, 0, key);
    }
    model.current = next;
  }
  for (int64_t compaction : {40, 41, 77, 120}) {
    ASSERT_TRUE(fixture.Compact(compaction));
    model.compacted = compaction;
    while (true) {
      for (int64_t at = compaction; at <= 120; ++at) {
        auto hash = fixture.store().HashByRevision(Revision(at));
        ASSERT_TRUE(hash) << hash.error().ToString();
        ASSERT_EQ(hash->hash, SlowHash(model, at)) << "at " << at << " compacted " << compaction;
        ASSERT_EQ(hash->compacted, Revision(compaction));
      }
      if (fixture.Collect().state == CollectStep::State::kIdle) break;
    }
  }
  EXPECT_EQ(fixture.store().HashByRevision(Revision(119)).error().code(), ErrorCode::kCompacted);
  EXPECT_EQ(fixture.store().HashByRevision(Revision(121)).error().code(),
            ErrorCode::kFutureRevision);
}

// The registered floor holds collection back, not the compaction itself: what members hash must not
// depend on the moment at which it is applied.
TEST(KvHash, ACompactionMeanwhileChangesNothing) {
  auto engine = std::make_shared<HookedEngine>();
  Fixture fixture(engine);
  Model model;
  for (int i = 0; i < 20; ++i) {
    const std::string key(1, static_cast<char>('a' + i % 5));
    model.current = fixture.Put(key, std::to_string(i)).value();
    model.Put(model.current, 0, key, std::to_string(i), 0);
  }
  ASSERT_TRUE(fixture.Compact(15));
  model.compacted = 15;
  engine->BeforeScan(engine::Table::kVal, [&fixture] { ASSERT_TRUE(fixture.Compact(20)); });
  auto hash = fixture.store().HashByRevision(Revision(17));
  ASSERT_TRUE(hash) << hash.error().ToString();
  EXPECT_EQ(hash->hash, SlowHash(model, 17));
  EXPECT_EQ(hash->compacted, Revision(15));
  EXPECT_EQ(fixture.store().compacted(), Revision(20));
}

}  // namespace
}  // namespace store::mvcc
