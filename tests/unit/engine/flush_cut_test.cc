// SPDX-License-Identifier: Apache-2.0
// What reaches the disk is the state after some whole batch, in all tables, whatever asks for it
// while batches are written: a checkpoint, a full compaction. RocksDB's own flushes on these ways
// choose the tables before they keep writers out (its pull request 11148; Debian's release has no
// mend).
#include "store/base/clock.h"
#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/engine/checkpoint.h"
#include "store/engine/rocks_engine.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/base/temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

namespace store::engine {
namespace {

constexpr int kGoes = 60;
// A full compaction reads all again: on a slow disk the writer must not outrun it.
constexpr uint64_t kBatchesMax = 200;

class FlushCut : public testing::Test {
 protected:
  FlushCut() {
    auto engine = RocksEngine::Open(Path(directory_.path()) / "state", {});
    EXPECT_TRUE(engine);
    engine_ = std::move(*engine);
    WriteAll(0);
    writer_ = Thread("writer", [this] { Write(); });
  }
  ~FlushCut() override {
    stop_ = true;
    writer_.Join();
  }

  // The newest row that the table sys names is in the others, and none behind it. What is on disk
  // may become newer between two questions, but then in all tables.
  static void ExpectWhole(const Engine& engine, Tier tier) {
    const uint64_t newest = Newest(engine, tier);
    for (const Table table : {Table::kRev, Table::kVal}) {
      EXPECT_TRUE(*engine.Get(table, RowKey(newest), tier)) << "row " << newest;
      if (*engine.Get(table, RowKey(newest + 1), tier)) {
        EXPECT_GT(Newest(engine, tier), newest);
      }
    }
  }
  static uint64_t Newest(const Engine& engine, Tier tier) {
    auto row = engine.Get(Table::kSys, "at", tier);
    EXPECT_TRUE(row && *row);
    return std::stoull(std::string((**row).view()));
  }

  TempDir directory_;
  std::unique_ptr<RocksEngine> engine_;

 private:
  static std::string RowKey(uint64_t number) { return fmt::format("{:012}", number); }
  // Long enough for a flush to begin in its middle.
  void WriteAll(uint64_t number) {
    auto batch = engine_->NewBatch();
    for (int i = 0; i < 3000; ++i) {
      batch->Put(Table::kRev, fmt::format("{}.{:06}", RowKey(number), i), "header");
    }
    for (const Table table : {Table::kRev, Table::kVal}) {
      batch->Put(table, RowKey(number), "row");
    }
    batch->Put(Table::kSys, "at", std::to_string(number));
    EXPECT_TRUE(engine_->Write(*batch));
  }
  void Write() {
    for (uint64_t number = 1; !stop_ && number < kBatchesMax; ++number) {
      WriteAll(number);
      // So that some flushes find nothing to do but what comes while they choose.
      const TimePoint until = clock_.Now() + std::chrono::microseconds(random_.Below(20'000));
      while (clock_.Now() < until) std::this_thread::yield();
    }
  }

  SystemClock clock_;
  Random random_ = SeededRandom("flush_cut");
  std::atomic<bool> stop_ = false;
  Thread writer_;
};

TEST_F(FlushCut, ACheckpointBesideAWriterIsOfOneBatch) {
  for (int i = 0; i < kGoes && !HasFailure(); ++i) {
    const Path target = Path(directory_.path()) / fmt::format("checkpoint{}", i);
    auto checkpoint = engine_->MakeCheckpoint(target);
    ASSERT_TRUE(checkpoint) << checkpoint.error().ToString();
    auto opened = OpenCheckpoint(target, checkpoint->format);
    ASSERT_TRUE(opened) << opened.error().ToString();
    ExpectWhole(**opened, Tier::kAll);
  }
}

TEST_F(FlushCut, AFullCompactionBesideAWriterLeavesOneBatchOnDisk) {
  for (int i = 0; i < kGoes / 3 && !HasFailure(); ++i) {
    ASSERT_TRUE(engine_->CompactAll());
    ExpectWhole(*engine_, Tier::kPersisted);
  }
}

}  // namespace
}  // namespace store::engine
