// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/read_ahead.h"

#include "store/engine/mem_engine.h"
#include "store/mvcc/record.h"
#include "store/mvcc/revision.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace store::mvcc {
namespace {

void PutRow(engine::MemEngine& engine, RecordId id, std::string_view row) {
  auto batch = engine.NewBatch();
  batch->Put(engine::Table::kRev, RecordKey(id), row);
  ASSERT_TRUE(engine.Write(*batch));
}

// Change `i` of a history: two changes a revision, each fifth a tombstone, some leases.
RecordId IdOf(size_t i) {
  return {Revision(static_cast<int64_t>(2 + i / 2)), static_cast<uint32_t>(i % 2)};
}
std::string KeyOf(size_t i) { return fmt::format("key{}", i); }
RecordHeader HeaderOf(size_t i, std::string_view key) {
  RecordHeader header;
  header.key = key;
  header.tombstone = i % 5 == 4;
  if (header.tombstone) return header;
  header.create = IdOf(i).main;
  header.version = static_cast<int64_t>(1 + i % 3);
  if (i % 7 == 0) header.lease = LeaseId(static_cast<int64_t>(i + 1));
  header.value_size = static_cast<uint32_t>(i % 100);
  return header;
}
void PutHistory(engine::MemEngine& engine, size_t size) {
  auto batch = engine.NewBatch();
  for (size_t i = 0; i < size; ++i) {
    const std::string key = KeyOf(i);
    std::string row;
    AppendRecordHeader(HeaderOf(i, key), &row);
    batch->Put(engine::Table::kRev, RecordKey(IdOf(i)), row);
  }
  ASSERT_TRUE(engine.Write(*batch));
}

// How many rows came; each is compared with the history above.
size_t TakeAll(ReadAhead& history) {
  size_t i = 0;
  while (auto batch = history.Next()) {
    EXPECT_FALSE(batch->rows.empty());
    EXPECT_LE(batch->rows.size(), ReadAhead::kBatchRows);
    size_t at = 0;
    for (const auto& [facts, key_size] : batch->rows) {
      const std::string key = KeyOf(i);
      const RecordHeader header = HeaderOf(i, key);
      EXPECT_EQ(batch->keys.substr(at, key_size), key);
      EXPECT_EQ(facts.mod, IdOf(i));
      EXPECT_EQ(facts.create, header.create);
      EXPECT_EQ(facts.version, header.version);
      EXPECT_EQ(facts.lease, header.lease);
      EXPECT_EQ(facts.value_size, header.value_size);
      if (testing::Test::HasFailure()) return i;
      at += key_size;
      ++i;
    }
    EXPECT_EQ(at, batch->keys.size());
  }
  return i;
}

TEST(ReadAhead, AHistoryOfAnyLengthComesWholeAndInOrder) {
  constexpr size_t kRows = ReadAhead::kBatchRows;
  for (const size_t size : {size_t{0}, size_t{1}, kRows - 1, kRows, kRows + 1, 2 * kRows,
                            (ReadAhead::kBatchesAhead + 3) * kRows + 5}) {
    SCOPED_TRACE(size);
    engine::MemEngine engine;
    PutHistory(engine, size);
    ReadAhead history(engine);
    EXPECT_EQ(TakeAll(history), size);
    EXPECT_TRUE(history.status());
    EXPECT_FALSE(history.Next());  // and stays at its end
  }
}

TEST(ReadAhead, ABatchIsBoundedInBytesOfKeys) {
  engine::MemEngine engine;
  const std::string key(100'000, 'k');
  for (size_t i = 0; i < 100; ++i) {
    std::string row;
    AppendRecordHeader(HeaderOf(i, key), &row);
    PutRow(engine, IdOf(i), row);
  }
  ReadAhead history(engine);
  size_t rows = 0;
  while (auto batch = history.Next()) {
    EXPECT_LT(batch->keys.size(), ReadAhead::kBatchBytes + key.size());
    rows += batch->rows.size();
  }
  EXPECT_EQ(rows, 100);
}

TEST(ReadAhead, ARowThatIsNoHeaderEndsItBehindAllBeforeIt) {
  constexpr size_t kSize = 4 * ReadAhead::kBatchRows;
  for (const size_t bad :
       {size_t{0}, size_t{10}, ReadAhead::kBatchRows, 2 * ReadAhead::kBatchRows + 7, kSize - 1}) {
    SCOPED_TRACE(bad);
    engine::MemEngine engine;
    PutHistory(engine, kSize);
    PutRow(engine, IdOf(bad), "\xff");
    ReadAhead history(engine);
    EXPECT_EQ(TakeAll(history), bad);
    EXPECT_FALSE(history.status());
    EXPECT_FALSE(history.Next());
  }
}

TEST(ReadAhead, MayBeLeftAtAnyTime) {
  engine::MemEngine engine;
  PutHistory(engine, (ReadAhead::kBatchesAhead + 3) * ReadAhead::kBatchRows);
  for (size_t taken = 0; taken <= ReadAhead::kBatchesAhead + 2; ++taken) {
    ReadAhead history(engine);
    for (size_t i = 0; i < taken; ++i) EXPECT_TRUE(history.Next());
  }
}

}  // namespace
}  // namespace store::mvcc
