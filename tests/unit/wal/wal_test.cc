// SPDX-License-Identifier: Apache-2.0
#include "store/base/file.h"
#include "store/wal/log_writer.h"
#include "store/wal/mem_log_store.h"
#include "store/wal/recovery.h"
#include "tests/unit/wal/log_maker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <unistd.h>

namespace store::wal {
namespace {

using raft::Index;
using raft::Term;

TEST(WalTest, AnotherClustersDirectoryIsRefused) {
  FaultFileSystem files;
  ASSERT_TRUE(OpenLog(files)->Load());
  EXPECT_EQ((*ReadIdentity(files, "wal"))->cluster, ClusterId(7));
  Result<LogImage> image = OpenLog(files, 2, 64 << 10, 8)->Load();
  ASSERT_FALSE(image);
  EXPECT_THAT(image.error().message(), testing::HasSubstr("belongs to member 1 of cluster 7"));
}

TEST(WalTest, SegmentsAreReleasedRecycledAndNeverResurrect) {
  FaultFileSystem files;
  auto log = OpenLog(files, 1, 3 * 4096);
  ASSERT_TRUE(log->Load());
  for (uint64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE(AppendOne(*log, MakeUnit(i, 1, 1 + i / 100, 200)));
    if (i % 20 == 0) {
      ASSERT_TRUE(log->TruncatePrefix(Index(i - 5), Term(1 + (i - 5) / 100)));
    }
  }
  EXPECT_LE(log->segments(), 3u);
  EXPECT_LE(files.Paths().size(), 6u);
  files.Crash(Survival::kNothing, nullptr);
  log = OpenLog(files, 2, 3 * 4096);
  Result<LogImage> image = log->Load();
  ASSERT_TRUE(image);
  EXPECT_EQ(image->entries.back()->index, Index(300));
  EXPECT_LE(image->truncated, Index(295));
}

TEST(WalTest, EntryLargerThanASegmentGetsALongerOne) {
  FaultFileSystem files;
  auto log = OpenLog(files, 1, 3 * 4096);
  ASSERT_TRUE(log->Load());
  ASSERT_TRUE(AppendOne(*log, MakeUnit(1, 2, 1, 100000)));
  EXPECT_EQ((*log->Read(Index(1), Index(2), 1)).size(), 1u);
  files.Crash(Survival::kNothing, nullptr);
  EXPECT_EQ(OpenLog(files, 2, 3 * 4096)->Load()->entries.size(), 2u);
}

// Random units to WalLogStore and MemLogStore: same images, same reads, over restarts.
void RunProperty(uint64_t seed) {
  Random random(seed);
  FaultFileSystem files;
  MemLogStore mem;
  uint64_t last = 0, truncated = 0, term = 1;
  auto log = OpenLog(files, seed, 4 * 4096);
  ASSERT_TRUE(log->Load());
  for (int step = 0; step < 120; ++step) {
    if (random.Chance(0.1)) ++term;
    raft::PersistUnit unit;
    if (random.Chance(0.05)) {
      last = truncated = last + random.Below(10);
      unit.reset_to = raft::SnapshotMeta{Index(last), Term(term), {}};
    } else if (last > truncated && random.Chance(0.15)) {
      last = random.Between(truncated, last - 1);
      unit.truncate_from = Index(last + 1);
    }
    raft::PersistUnit more = MakeUnit(last + 1, random.Below(6), term, random.Below(900));
    unit.entries = more.entries;
    unit.hard_state = more.hard_state;
    unit.must_sync = true;
    last += unit.entries.size();
    ASSERT_TRUE(AppendOne(*log, unit) && AppendOne(mem, unit));
    if (last > truncated && random.Chance(0.1)) {
      truncated = random.Between(truncated + 1, last);
      Term of = (*mem.Read(Index(truncated), Index(truncated), 1))[0]->term;
      ASSERT_TRUE(log->TruncatePrefix(Index(truncated), of) &&
                  mem.TruncatePrefix(Index(truncated), of));
    }
    if (last > truncated) {
      Index from(random.Between(truncated + 1, last));
      auto ours = log->Read(from, Index(last), 2000);
      auto theirs = mem.Read(from, Index(last), 2000);
      ASSERT_TRUE(ours) << ours.error().ToString();
      ASSERT_EQ(ours->size(), theirs->size());
      for (size_t i = 0; i < ours->size(); ++i) ASSERT_EQ((*ours)[i]->data, (*theirs)[i]->data);
    }
    if (random.Chance(0.1)) {
      files.Crash(Survival::kRandom, &random);
      log = OpenLog(files, seed + 1000 + static_cast<uint64_t>(step), 4 * 4096);
      Result<LogImage> ours = log->Load();
      ASSERT_TRUE(ours) << ours.error().ToString();
      LogImage theirs = *mem.Load();
      ASSERT_EQ(ours->hard_state, theirs.hard_state);
      ASSERT_LE(ours->truncated, theirs.truncated);
      std::erase_if(ours->entries, [&](const auto& e) { return e->index <= theirs.truncated; });
      ASSERT_EQ(ours->entries.size(), theirs.entries.size());
      // Only whole segments are released, so the log may reach further back; cut it again.
      ASSERT_TRUE(log->TruncatePrefix(theirs.truncated, theirs.truncated_term));
    }
  }
}

TEST(WalTest, EqualsTheLogInMemory) {
  const char* text = std::getenv("SLUICE_SEED");
  uint64_t first = text == nullptr ? 4711 : std::stoull(text);
  for (uint64_t seed = first; seed < first + (text == nullptr ? 60 : 1); ++seed) {
    RunProperty(seed);
    ASSERT_FALSE(HasFailure()) << "SLUICE_SEED=" << seed;
  }
}

TEST(WalTest, RealFilesWithTheHelperThread) {
  std::string directory = fmt::format("{}/sluice_wal_{}", testing::TempDir(), getpid());
  PosixWalFileSystem files;
  WalOptions options{.directory = directory,
                     .identity = {ClusterId(7), raft::NodeId(1)},
                     .seed = 5,
                     .segment_bytes = 32 << 10};
  for (uint64_t life = 0; life < 3; ++life) {
    WalLogStore log(files, options);
    Result<LogImage> image = log.Load();
    ASSERT_TRUE(image) << image.error().ToString();
    uint64_t last = life * 200;
    ASSERT_EQ(image->truncated.value() + image->entries.size(), last);
    for (uint64_t i = 1; i <= 200; ++i) {
      ASSERT_TRUE(AppendOne(log, MakeUnit(last + i, 1, life + 1, 500)));
    }
    ASSERT_TRUE(log.TruncatePrefix(Index(last + 190), Term(life + 1)));
    ASSERT_TRUE(log.Close());
  }
  ASSERT_TRUE(RemoveAll(directory));
}

TEST(LogWriterTest, ReleasesOnlyWhatIsDurable) {
  MemLogStore log;
  log.HoldSyncs();
  Mutex mutex;
  CondVar changed;
  uint64_t durable = 0;
  size_t released = 0;
  LogWriter writer(log, {.on_durable =
                             [&](uint64_t id, std::vector<raft::Envelope> release) {
                               MutexLock lock(mutex);
                               durable = id;
                               released += release.size();
                               changed.NotifyAll();
                             },
                         .on_failed = [](const Error&) {}});
  writer.Start();
  for (uint64_t i = 1; i <= 3; ++i) {
    raft::PersistUnit unit = MakeUnit(i, 1, 1);
    unit.release.push_back({raft::NodeId(1), raft::NodeId(2), raft::TimeoutNow{}});
    writer.Submit(std::move(unit));
  }
  while (!log.holding()) std::this_thread::yield();
  {
    MutexLock lock(mutex);
    EXPECT_EQ(durable, 0u);
    EXPECT_EQ(released, 0u);
  }
  log.ReleaseSyncs();
  writer.Stop();
  EXPECT_EQ(durable, 3u);
  EXPECT_EQ(released, 3u);
}

TEST(LogWriterTest, AppendsOnTheCallersThreadBetweenUnitsOfItsOwn) {
  MemLogStore log;
  Mutex mutex;
  CondVar changed;
  uint64_t durable = 0;
  LogWriter writer(log, {.on_durable =
                             [&](uint64_t id, const std::vector<raft::Envelope>&) {
                               MutexLock lock(mutex);
                               durable = id;
                               changed.NotifyAll();
                             },
                         .on_failed = [](const Error&) { FAIL(); }});
  writer.Start();
  for (uint64_t id = 1; id <= 100; id += 2) {
    writer.Submit(MakeUnit(id, 1, 1));
    {
      MutexLock lock(mutex);
      while (durable != id) changed.Wait(mutex);
    }
    ASSERT_TRUE(writer.AppendHere(MakeUnit(id + 1, 1, 1)));
    auto entries = log.Read(raft::Index(id), raft::Index(id + 2), 1 << 20);
    ASSERT_TRUE(entries);
    EXPECT_EQ(entries->size(), 2u) << "durable when it returns";
    EXPECT_EQ(durable, id) << "its caller knows";
  }
  writer.Stop();
}

}  // namespace
}  // namespace store::wal
