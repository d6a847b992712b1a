// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/record.h"

#include "store/base/crc32c.h"
#include "store/mvcc/key_meta.h"
#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace store::mvcc {
namespace {

RecordHeader RandomHeader(Random& random, const std::string& key) {
  RecordHeader header;
  header.key = key;
  header.tombstone = random.Chance(0.3);
  if (random.Chance(0.5)) {
    header.previous = {Revision(static_cast<int64_t>(random.Between(1, INT64_MAX))),
                       static_cast<uint32_t>(random.Next())};
  }
  if (header.tombstone) return header;
  header.create = Revision(static_cast<int64_t>(random.Between(1, INT64_MAX)));
  header.version = static_cast<int64_t>(random.Between(1, INT64_MAX));
  if (random.Chance(0.5)) header.lease = LeaseId(static_cast<int64_t>(random.Next()));
  header.value_size = static_cast<uint32_t>(random.Next());
  header.value_crc = static_cast<uint32_t>(random.Next());
  return header;
}

TEST(Record, HeaderSurvivesItsBytesAndEveryTruncationIsRefused) {
  Random random = SeededRandom("record");
  for (int i = 0; i < 500; ++i) {
    const std::string key(random.Below(40), static_cast<char>(random.Next()));
    const RecordHeader header = RandomHeader(random, key);
    std::string bytes;
    AppendRecordHeader(header, &bytes);
    auto parsed = ParseRecordHeader(bytes);
    ASSERT_TRUE(parsed) << parsed.error().ToString();
    EXPECT_EQ(parsed->key, header.key);
    EXPECT_EQ(parsed->tombstone, header.tombstone);
    EXPECT_EQ(parsed->previous, header.previous);
    EXPECT_EQ(parsed->create, header.create);
    EXPECT_EQ(parsed->version, header.version);
    EXPECT_EQ(parsed->lease, header.lease);
    EXPECT_EQ(parsed->value_size, header.value_size);
    EXPECT_EQ(parsed->value_crc, header.value_crc);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(ParseRecordHeader(std::string_view(bytes).substr(0, size)));
    }
    EXPECT_FALSE(ParseRecordHeader(bytes + '\0'));
  }
}

TEST(Record, NewerFormatIsUnsupported) {
  std::string bytes;
  RecordHeader header;
  header.key = "k";
  header.tombstone = true;
  AppendRecordHeader(header, &bytes);
  EXPECT_EQ(bytes, std::string("\x11\x01k", 3));
  bytes[0] = 0x21;
  EXPECT_EQ(ParseRecordHeader(bytes).error().code(), ErrorCode::kUnsupported);
}

TEST(Record, DamagedValueIsFound) {
  RecordHeader header;
  header.value_size = 5;
  header.value_crc = Crc32c("hello");
  EXPECT_TRUE(CheckValue(header, {Revision(2), 0}, "hello"));
  EXPECT_EQ(CheckValue(header, {Revision(2), 0}, "hellp").error().code(), ErrorCode::kCorruption);
  EXPECT_EQ(CheckValue(header, {Revision(2), 0}, "hell").error().code(), ErrorCode::kCorruption);
}

TEST(Record, KeysSortAsRecordsHappened) {
  Random random = SeededRandom("record_keys");
  std::vector<RecordId> ids;
  ids.reserve(300);
  for (int i = 0; i < 300; ++i) {
    ids.push_back({Revision(static_cast<int64_t>(random.Below(random.Chance(0.5) ? 4 : INT64_MAX))),
                   static_cast<uint32_t>(random.Below(random.Chance(0.5) ? 4 : UINT32_MAX))});
  }
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (RecordId id : ids) keys.push_back(RecordKey(id));
  std::sort(ids.begin(), ids.end());
  std::sort(keys.begin(), keys.end());
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ParseRecordKey(keys[i]), ids[i]);
  EXPECT_FALSE(ParseRecordKey("short"));
}

KeyFacts Facts(int64_t main, int64_t version) {
  KeyFacts facts;
  facts.mod = {Revision(main), 0};
  facts.version = version;
  return facts;
}

// Every combination of what a KeyMeta may leave out.
TEST(KeyMeta, TellsWhatItWasMadeOfWhateverItLeavesOut) {
  HistoryChunk* chunk = HistoryChunk::Make(2);
  chunk->facts()[0] = Facts(3, 1);
  for (const std::string key : {"", "k", "a key of more than twenty-four bytes"}) {
    for (unsigned bits = 0; bits < 32; ++bits) {
      KeyFacts facts;
      facts.mod = {Revision(7), bits};
      facts.version = (bits & 1) != 0 ? 1 : 5;
      facts.create = Revision((bits & 2) != 0 ? 7 : 2);
      if ((bits & 4) != 0) facts.lease = LeaseId(-77);
      facts.value_size = (bits & 8) != 0 ? 0xFFFFFFFF : 0;
      const bool tombstone = bits >= 24;
      if (tombstone) facts.version = 0;
      if (bits == 24) facts.create = Revision();
      const History history{(bits & 16) != 0 ? chunk : nullptr, (bits & 16) != 0 ? 1U : 0U};
      KeyMeta* meta = KeyMeta::Make(key, facts, history);
      EXPECT_EQ(meta->key(), key);
      EXPECT_EQ(meta->live(), !tombstone);
      EXPECT_EQ(meta->mod(), facts.mod);
      EXPECT_EQ(meta->history().chunk, history.chunk);
      EXPECT_EQ(meta->history().count, history.count);
      for (const KeyFacts& told : {meta->newest(), *meta->At(Revision(8))}) {
        EXPECT_EQ(told.mod, facts.mod);
        EXPECT_EQ(told.create, facts.create) << bits;
        EXPECT_EQ(told.version, facts.version);
        EXPECT_EQ(told.lease, facts.lease);
        EXPECT_EQ(told.value_size, facts.value_size);
      }
      EXPECT_EQ(meta->LiveAt(Revision(8)).has_value(), !tombstone);
      EXPECT_EQ(meta->At(Revision(6)).has_value(), history.chunk != nullptr);
      EXPECT_FALSE(meta->At(Revision(2)));
      KeyMeta::Destroy(meta);
    }
  }
  HistoryChunk::Destroy(chunk);
}

TEST(KeyMeta, OfAKeyPutOnceIsSmall) {
  KeyFacts facts = Facts(7, 1);
  facts.create = Revision(7);
  KeyMeta* meta = KeyMeta::Make("0123456789", facts, {});
  EXPECT_EQ(meta->bytes(), 24 + 10U);
  KeyMeta::Destroy(meta);
}

TEST(KeyMeta, CompactionRuleOnEveryCut) {
  // put 2, put 3, delete 4, put 6, delete 7, put 9
  const std::vector<KeyFacts> all = {Facts(2, 1), Facts(3, 2), Facts(4, 0),
                                     Facts(6, 1), Facts(7, 0), Facts(9, 1)};
  auto kept = [&](int64_t at) {
    std::vector<int64_t> mods;
    for (const KeyFacts& f : KeptByCompaction(all, Revision(at)))
      mods.push_back(f.mod.main.value());
    return mods;
  };
  using Mods = std::vector<int64_t>;
  EXPECT_EQ(kept(1), (Mods{2, 3, 4, 6, 7, 9}));
  EXPECT_EQ(kept(2), (Mods{2, 3, 4, 6, 7, 9}));
  EXPECT_EQ(kept(3), (Mods{3, 4, 6, 7, 9}));
  EXPECT_EQ(kept(4), (Mods{4, 6, 7, 9})) << "a tombstone exactly there stays";
  EXPECT_EQ(kept(5), (Mods{6, 7, 9}));
  EXPECT_EQ(kept(6), (Mods{6, 7, 9}));
  EXPECT_EQ(kept(7), (Mods{7, 9}));
  EXPECT_EQ(kept(8), (Mods{9}));
  EXPECT_EQ(kept(9), (Mods{9}));
}

TEST(KeyMeta, KnowsWhetherACompactionKeepsItWhole) {
  // put 2, delete 3, put and delete 5, put 6 and 7
  const std::vector<KeyFacts> all = {Facts(2, 1), Facts(3, 0), Facts(5, 1),
                                     Facts(5, 0), Facts(6, 1), Facts(7, 2)};
  for (size_t first = 0; first < all.size(); ++first) {
    const std::vector<KeyFacts> some(all.begin() + static_cast<int64_t>(first), all.end());
    // Chunks of one and two facts in turn, older ones behind newer ones.
    std::vector<HistoryChunk*> chunks;
    History history;
    for (size_t i = 0; i + 1 < some.size();) {
      HistoryChunk* chunk = HistoryChunk::Make(2);
      chunk->older = history.chunk;
      chunk->older_count = history.count;
      history = {chunk, 0};
      for (size_t take = 1 + chunks.size() % 2; take > 0 && i + 1 < some.size(); --take) {
        chunk->facts()[history.count++] = some[i++];
      }
      chunks.push_back(chunk);
    }
    KeyMeta* meta = KeyMeta::Make("key", some.back(), history);
    for (int64_t at = 1; at <= 8; ++at) {
      EXPECT_EQ(meta->KeptWholeBy(Revision(at)),
                KeptByCompaction(some, Revision(at)).size() == some.size())
          << "from " << first << " at " << at;
    }
    KeyMeta::Destroy(meta);
    for (HistoryChunk* chunk : chunks) HistoryChunk::Destroy(chunk);
  }
}

}  // namespace
}  // namespace store::mvcc
