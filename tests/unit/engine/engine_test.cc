// SPDX-License-Identifier: Apache-2.0
#include "store/base/crc32c.h"
#include "store/base/failpoint.h"
#include "store/base/file.h"
#include "store/base/thread.h"
#include "store/engine/mem_engine.h"
#include "store/engine/rocks_engine.h"
#include "store/engine/state_dir.h"
#include "store/engine/sys_keys.h"
#include "tests/unit/base/temp_dir.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

namespace store::engine {
namespace {

Status PutRow(Engine& engine, std::string_view key, std::string_view value) {
  auto batch = engine.NewBatch();
  batch->Put(Table::kVal, key, value);
  return engine.Write(*batch);
}
std::string GetRow(Engine& engine, std::string_view key) {
  auto value = engine.Get(Table::kVal, key);
  if (!value) return value.error().ToString();
  return value->has_value() ? std::string((*value)->view()) : "(none)";
}
Result<std::unique_ptr<RocksEngine>> Open(const Path& path) {
  return RocksEngine::Open(path, RocksSettings());
}

TEST(RocksEngine, UnflushedBatchesAreGoneAfterCrashAndFlushedOnesStay) {
  TempDir directory;
  {
    auto engine = *Open(Path(directory.path()) / "s");
    ASSERT_TRUE(PutRow(*engine, "flushed", "1"));
    ASSERT_TRUE(engine->Flush());
    ASSERT_TRUE(PutRow(*engine, "lost", "2"));
    EXPECT_EQ(GetRow(*engine, "lost"), "2");
    auto persisted = engine->Get(Table::kVal, "lost", Tier::kPersisted);
    ASSERT_TRUE(persisted);
    EXPECT_FALSE(persisted->has_value());
  }
  auto engine = *Open(Path(directory.path()) / "s");
  EXPECT_EQ(GetRow(*engine, "flushed"), "1");
  EXPECT_EQ(GetRow(*engine, "lost"), "(none)");
}

TEST(RocksEngine, LargeValueOutlivesTheEngine) {
  TempDir directory;
  SharedBytes value;
  {
    auto engine = *Open(Path(directory.path()) / "s");
    ASSERT_TRUE(PutRow(*engine, "k", std::string(100'000, 'x')));
    ASSERT_TRUE(engine->Flush());
    value = **engine->Get(Table::kVal, "k", Tier::kAll);
  }
  EXPECT_EQ(value.view(), std::string(100'000, 'x'));
}

TEST(RocksEngine, FlushWaitsOutAFullDisk) {
  TempDir directory;
  Mutex mutex;
  CondVar changed;
  bool full = false;
  bool recovered = false;
  RocksSettings settings;
  settings.on_error = [&](EngineTrouble trouble, const Error&) {
    MutexLock lock(mutex);
    full |= trouble == EngineTrouble::kNoSpace;
    recovered |= trouble == EngineTrouble::kRecovered;
    changed.NotifyAll();
  };
  auto engine = *RocksEngine::Open(Path(directory.path()) / "s", std::move(settings));
  // More than one block, so that a part of the file is written before its end.
  const std::string large(300'000, 'v');
  ASSERT_TRUE(PutRow(*engine, "before", large));

  ASSERT_TRUE(Failpoints::Parse("rocks-append=1+error(no_space)"));
  Status flushed;
  Thread flusher("flusher", [&] { flushed = engine->Flush(); });
  const TimePoint deadline = SystemClock().Now() + std::chrono::seconds(60);
  {
    MutexLock lock(mutex);
    while (!full && changed.WaitUntil(mutex, deadline)) {
    }
    EXPECT_TRUE(full);
    EXPECT_FALSE(recovered);
  }
  // Meanwhile what is in memory is there.
  EXPECT_TRUE(PutRow(*engine, "during", "2"));
  EXPECT_EQ(GetRow(*engine, "before"), large);
  Failpoints::DisarmAll();
  flusher.Join();
  EXPECT_TRUE(flushed);
  EXPECT_TRUE(recovered);
  EXPECT_TRUE(engine->Flush());
  engine.reset();
  engine = *Open(Path(directory.path()) / "s");
  EXPECT_EQ(GetRow(*engine, "before"), large);
  EXPECT_EQ(GetRow(*engine, "during"), "2");
}

TEST(RocksEngine, FailedSyncIsReportedAsFatal) {
  TempDir directory;
  std::atomic<bool> fatal{false};
  RocksSettings settings;
  settings.on_error = [&](EngineTrouble trouble, const Error&) {
    if (trouble == EngineTrouble::kFatal) fatal = true;
  };
  auto engine = *RocksEngine::Open(Path(directory.path()) / "s", std::move(settings));
  ASSERT_TRUE(PutRow(*engine, "k", "1"));
  ASSERT_TRUE(Failpoints::Parse("rocks-sync=error(io)"));
  EXPECT_FALSE(engine->Flush());
  Failpoints::DisarmAll();
  EXPECT_TRUE(fatal);
}

TEST(RocksEngine, CheckpointIsACompleteStateWithItsFilesDescribed) {
  TempDir directory;
  auto engine = *Open(Path(directory.path()) / "s");
  ASSERT_TRUE(PutRow(*engine, "k", "1"));
  auto checkpoint = engine->MakeCheckpoint(Path(directory.path()) / "c" / "1");
  ASSERT_TRUE(checkpoint) << checkpoint.error().ToString();
  ASSERT_TRUE(PutRow(*engine, "k", "2"));
  EXPECT_GE(checkpoint->files.size(), 4U);
  for (const CheckpointFile& file : checkpoint->files) {
    auto bytes = ReadFile((checkpoint->directory / file.name).string());
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->size(), file.size_bytes) << file.name;
    EXPECT_EQ(Crc32c(*bytes), file.crc32c) << file.name;
  }
  RocksSettings read_only;
  read_only.read_only = true;
  auto copy = *RocksEngine::Open(checkpoint->directory, std::move(read_only));
  EXPECT_EQ(GetRow(*copy, "k"), "1");
}

TEST(RocksEngine, OpeningAMissingStateWithoutCreateFails) {
  TempDir directory;
  RocksSettings settings;
  settings.create_if_missing = false;
  auto engine = RocksEngine::Open(Path(directory.path()) / "nothing", std::move(settings));
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().message().find("nothing"), std::string::npos);
}

TEST(RocksEngine, CompactAllKeepsRowsAndSizesAreKnown) {
  TempDir directory;
  auto engine = *Open(Path(directory.path()) / "s");
  for (int i = 0; i < 500; ++i)
    ASSERT_TRUE(PutRow(*engine, std::to_string(i), std::string(1000, 'v')));
  EXPECT_GT(engine->Sizes().memtable_bytes, 0U);
  ASSERT_TRUE(engine->CompactAll());
  EXPECT_GT(engine->Sizes().disk_bytes, 0U);
  EXPECT_EQ(GetRow(*engine, "499"), std::string(1000, 'v'));
}

// Rows that are written anew again and again leave files behind, and nothing of those may stay.
TEST(RocksEngine, FilesThatWereCompactedAwayHoldNoMemory) {
  constexpr int kRows = 2000;
  constexpr int kRounds = 60;
  TempDir directory;
  auto engine = *Open(Path(directory.path()) / "s");
  const std::string value(2048, 'v');  // a few to a block, so that an index has many entries
  for (int round = 0; round < kRounds; ++round) {
    for (int row = 0; row < kRows; ++row) {
      ASSERT_TRUE(PutRow(*engine, "row " + std::to_string(100'000 + row), value));
    }
    ASSERT_TRUE(engine->Flush());
    ASSERT_TRUE(engine->CompactAll());
    ASSERT_EQ(GetRow(*engine, "row 100007"), value);
  }
  // The cache is charged in steps of 256 KiB; an index is some 20 KiB, and two are made a round.
  EXPECT_LE(engine->Sizes().cache_bytes, 1 << 20);
}

TEST(MemEngine, CheckpointCanBeOpenedAgain) {
  TempDir directory;
  MemEngine engine;
  ASSERT_TRUE(PutRow(engine, "k", "1"));
  auto checkpoint = engine.MakeCheckpoint(Path(directory.path()) / "c");
  ASSERT_TRUE(checkpoint);
  auto copy = MemEngine::OpenCheckpoint(checkpoint->directory);
  ASSERT_TRUE(copy);
  EXPECT_EQ(GetRow(**copy, "k"), "1");
}

TEST(MemEngine, FullRefusesAndKeepsNothingOfTheBatch) {
  MemEngine engine;
  engine.SetFull(true);
  const Status refused = PutRow(engine, "k", "1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kNoSpace);
  EXPECT_EQ(GetRow(engine, "k"), "(none)");
  engine.SetFull(false);
  EXPECT_TRUE(PutRow(engine, "k", "1"));
}

TEST(StateDir, FreshMemberGetsStateOneAndKeepsIt) {
  TempDir directory;
  const Path member = Path(directory.path()) / "member";
  auto name = OpenStateDir(member);
  ASSERT_TRUE(name) << name.error().ToString();
  EXPECT_EQ(*name, (StateName{"state-1", 0, 0}));
  EXPECT_EQ(*OpenStateDir(member), *name);
}

TEST(StateDir, SwitchIsReadBackAndOldStatesGo) {
  TempDir directory;
  const Path member = directory.path();
  ASSERT_TRUE(OpenStateDir(member));
  for (const char* made :
       {"state-1", "state-2", "incoming/7.part", "incoming/7", "outgoing/8", "wal"}) {
    ASSERT_TRUE(MakeDirs((member / made).string()));
  }
  const StateName installed{"state-2", 77, 5};
  ASSERT_TRUE(WriteStateName(member, installed));
  EXPECT_EQ(**ReadStateName(member), installed);
  ASSERT_TRUE(RemoveStaleStates(member, installed));
  EXPECT_FALSE(FileExists((member / "state-1").string()));
  // Of transfers nobody knows any more after a start, complete or not.
  EXPECT_FALSE(FileExists((member / "incoming").string()));
  EXPECT_FALSE(FileExists((member / "outgoing").string()));
  for (const char* kept : {"state-2", "wal"}) {
    EXPECT_TRUE(FileExists((member / kept).string())) << kept;
  }
}

TEST(StateDir, MissingOrDamagedNameStopsTheMember) {
  TempDir directory;
  const Path member = directory.path();
  ASSERT_TRUE(MakeDirs((member / "state-3").string()));
  auto missing = OpenStateDir(member);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kCorruption);

  ASSERT_TRUE(WriteStateName(member, {"state-3", 1, 1}));
  std::string text = *ReadFile((member / "STATE").string());
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    ASSERT_TRUE(ReplaceFile((member / "STATE").string(), damaged));
    EXPECT_FALSE(OpenStateDir(member)) << "byte " << i;
  }
  ASSERT_TRUE(ReplaceFile((member / "STATE").string(), text.substr(0, text.size() / 2)));
  EXPECT_FALSE(OpenStateDir(member));
}

TEST(SysKeys, SectionsDoNotOverlap) {
  EXPECT_LT(SysKey(SysSection::kApplied, "zzz"), SysSectionEnd(SysSection::kApplied));
  EXPECT_EQ(SysSectionEnd(SysSection::kLease), SysKey(SysSection::kLeaseItem));
}

}  // namespace
}  // namespace store::engine
