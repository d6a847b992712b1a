// SPDX-License-Identifier: Apache-2.0
// Prefixes, zeroed tails and flipped bits of a small log: what was never acknowledged is cut, what
// was synced and is damaged stops the node.
#include "tests/unit/wal/log_maker.h"

#include <absl/functional/function_ref.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace store::wal {
namespace {

using raft::Index;

constexpr uint64_t kUnits = 12;

// Twelve units of one entry in one segment, the process killed: no clean end.
std::unique_ptr<FaultFileSystem> MakeDisk() {
  auto files = std::make_unique<FaultFileSystem>();
  auto log = OpenLog(*files);
  EXPECT_TRUE(log->Load());
  for (uint64_t i = 1; i <= kUnits; ++i) EXPECT_TRUE(AppendOne(*log, MakeUnit(i, 1, 1)));
  return files;
}

struct Layout {
  std::vector<uint64_t> starts;  // of the records, then the end
  std::vector<Position> marks;   // where, and what it names
};

Layout Read(const std::string& bytes, uint64_t sequence = 1) {
  SegmentHeader header = **DecodeHeader(bytes, sequence);
  Layout layout;
  uint64_t at = kHeaderBytes;
  while (auto record = DecodeRecord(std::string_view(bytes).substr(at), header.salt)) {
    layout.starts.push_back(at);
    if (record->type == RecordType::kSyncMark) {
      Position mark = *DecodeSyncMark(record->payload);
      if (mark.sequence == header.sequence) layout.marks.push_back({at, mark.offset});
    }
    at += record->bytes;
  }
  layout.starts.push_back(at);
  return layout;
}

// Recovers, appends twice and recovers again; returns the number of entries of the first recovery.
uint64_t RecoverAndGoOn(FaultFileSystem& files) {
  auto log = OpenLog(files, 2);
  Result<LogImage> image = log->Load();
  EXPECT_TRUE(image) << image.error().ToString();
  if (!image) return 0;
  uint64_t entries = image->entries.size();
  for (uint64_t i = 0; i < entries; ++i) EXPECT_EQ(image->entries[i]->index.value(), i + 1);
  EXPECT_TRUE(AppendOne(*log, MakeUnit(entries + 1, 1, 2)));
  EXPECT_TRUE(AppendOne(*log, MakeUnit(entries + 2, 1, 2)));
  files.Crash(Survival::kNothing, nullptr);
  log = OpenLog(files, 3);
  image = log->Load();
  EXPECT_TRUE(image);
  EXPECT_EQ(image->entries.size(), entries + 2);
  return entries;
}

TEST(WalDamageTest, EveryPrefixAndEveryZeroedTailRecovers) {
  auto disk = MakeDisk();
  std::string whole = disk->Get(SegmentPath(1));
  uint64_t end = Read(whole).starts.back();
  for (bool zeroed : {false, true}) {
    uint64_t before = 0;
    for (uint64_t size = 0; size <= end; size += size < kHeaderBytes ? 512 : 1) {
      auto files = disk->Clone();
      std::string bytes = whole.substr(0, size);
      if (zeroed) bytes.resize(whole.size(), '\0');
      files->Set(SegmentPath(1), bytes);
      uint64_t entries = RecoverAndGoOn(*files);
      ASSERT_GE(entries, before) << size;
      ASSERT_LE(entries, before + 1) << size;
      before = entries;
      ASSERT_FALSE(HasFailure()) << "at " << size;
    }
    EXPECT_EQ(before, kUnits);
  }
}

TEST(WalDamageTest, FlippedBitBelowTheLastMarkStopsTheNodeAndAboveItIsCut) {
  auto disk = MakeDisk();
  std::string whole = disk->Get(SegmentPath(1));
  Layout layout = Read(whole);
  for (uint64_t at = kHeaderBytes; at < layout.starts.back(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    // Padding is in no checksum and carries nothing.
    if (Read(bytes).starts == layout.starts) continue;
    uint64_t record = *std::prev(std::upper_bound(layout.starts.begin(), layout.starts.end(), at));
    uint64_t synced = kHeaderBytes;
    for (const Position& mark : layout.marks) {
      if (mark.sequence != record) synced = std::max(synced, mark.offset);
    }
    auto files = disk->Clone();
    files->Set(SegmentPath(1), bytes);
    if (record >= synced) {
      RecoverAndGoOn(*files);
    } else {
      Result<LogImage> image = OpenLog(*files, 2)->Load();
      ASSERT_FALSE(image) << at;
      EXPECT_EQ(image.error().code(), ErrorCode::kCorruption);
      EXPECT_THAT(image.error().message(), testing::HasSubstr(SegmentPath(1)));
      EXPECT_THAT(image.error().message(), testing::HasSubstr(fmt::format("offset {}", record)));
    }
    ASSERT_FALSE(HasFailure()) << "at " << at;
  }
}

// Every prefix of a unit of term 2 that replaces entries 4 and 5 of term 1 by as many and says that
// 5 is committed: what a crash while it is written may leave. `check` gets the log it is read as.
void ForEachPrefixOfAReplacingUnit(
    absl::FunctionRef<void(const LogImage& image, uint64_t size)> check) {
  FaultFileSystem disk;
  {
    auto log = OpenLog(disk);
    ASSERT_TRUE(log->Load());
    ASSERT_TRUE(AppendOne(*log, MakeUnit(1, 5, 1)));
  }
  raft::PersistUnit unit = MakeUnit(4, 2, 2);
  unit.truncate_from = Index(4);
  unit.hard_state = raft::HardState{raft::Term(2), raft::NodeId(), Index(5)};
  {
    auto log = OpenLog(disk, 2);
    ASSERT_TRUE(log->Load());
    ASSERT_TRUE(AppendOne(*log, unit));
  }
  std::string path = SegmentPath(2);
  std::string whole = disk.Get(path);
  uint64_t end = Read(whole, 2).starts.back();
  for (uint64_t size = kHeaderBytes; size <= end; ++size) {
    auto files = disk.Clone();
    files->Set(path, whole.substr(0, size));
    Result<LogImage> image = OpenLog(*files, 3)->Load();
    ASSERT_TRUE(image) << image.error().ToString();
    check(*image, size);
    ASSERT_FALSE(testing::Test::HasFailure()) << "torn at " << size;
  }
  EXPECT_EQ(OpenLog(disk, 3)->Load()->hard_state.commit, Index(5));
}

// A commit index may speak about entries of its own unit. Torn in between, it must not declare
// committed what the unit was about to take back.
TEST(WalDamageTest, NoPrefixOfAUnitCommitsWhatTheUnitReplaces) {
  ForEachPrefixOfAReplacingUnit([](const LogImage& image, uint64_t size) {
    for (const raft::EntryPtr& entry : image.entries) {
      bool replaced = entry->index >= Index(4) && entry->term == raft::Term(1);
      EXPECT_FALSE(replaced && entry->index <= image.hard_state.commit)
          << "entry " << entry->index.value() << " of term 1 counts as committed at " << size;
    }
  });
}

// Who holds a change of the members knows that the one before it is committed, and waits for it
// before a campaign (architecture 2). So no prefix of a unit has a new entry without its commit.
TEST(WalDamageTest, NoPrefixOfAUnitThatReplacesHasItsEntriesWithoutItsCommit) {
  ForEachPrefixOfAReplacingUnit([](const LogImage& image, uint64_t size) {
    bool any = !image.entries.empty() && image.entries.back()->term == raft::Term(2);
    EXPECT_TRUE(!any || image.hard_state.commit == Index(5)) << "torn at " << size;
  });
}

// An install makes the log begin behind all of its segments. Their files are used again only once
// the header that takes their place is on disk; or a power cut would leave no log, term and vote
// gone.
TEST(WalDamageTest, SegmentsAreNotReleasedBeforeTheNextHeaderIsDurable) {
  FaultFileSystem disk;
  auto log = OpenLog(disk, 1, 16 << 10);
  ASSERT_TRUE(log->Load());
  uint64_t next = 1;
  while (log->segments() < 3) ASSERT_TRUE(AppendOne(*log, MakeUnit(next++, 1, 5, 900)));
  // Without an fsync until the next segment has begun, and the install there.
  while (log->segments() < 4) {
    raft::PersistUnit unit = MakeUnit(next++, 1, 5, 900);
    unit.must_sync = false;
    ASSERT_TRUE(AppendOne(*log, unit));
  }
  raft::PersistUnit install;
  install.reset_to = raft::SnapshotMeta{Index(1000), raft::Term(5), {}};
  ASSERT_TRUE(AppendOne(*log, install));
  ASSERT_TRUE(log->TruncatePrefix(Index(1000), raft::Term(5)));
  EXPECT_EQ(log->segments(), 2u) << "the last one with a durable header stays";
  auto cut = disk.Clone();
  Random random(1);
  cut->Crash(Survival::kNothing, &random);
  EXPECT_EQ(OpenLog(*cut, 2, 16 << 10)->Load()->hard_state.term, raft::Term(5));
  ASSERT_TRUE(AppendOne(*log, MakeUnit(1001, 1, 5)));
  ASSERT_TRUE(log->TruncatePrefix(Index(1000), raft::Term(5)));
  EXPECT_EQ(log->segments(), 1u);
}

TEST(WalDamageTest, OneDamagedCopyOfAHeaderCostsNothing) {
  auto disk = MakeDisk();
  const std::string whole = disk->Get(SegmentPath(1));
  for (size_t at = 0; at < kHeaderBytes; ++at) {
    // The rest of each copy is zeros and never read.
    if (at % kHeaderCopyOffset >= 256) continue;
    auto files = disk->Clone();
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    files->Set(SegmentPath(1), bytes);
    EXPECT_EQ(RecoverAndGoOn(*files), kUnits);
    ASSERT_FALSE(HasFailure()) << "at " << at;
  }
}

TEST(WalDamageTest, TwoDamagedCopiesOfAHeaderStopTheNode) {
  auto disk = MakeDisk();
  std::string bytes = disk->Get(SegmentPath(1));
  for (size_t at : {size_t{20}, kHeaderCopyOffset + 40}) bytes[at] ^= 1;
  disk->Set(SegmentPath(1), bytes);
  Result<LogImage> image = OpenLog(*disk, 2)->Load();
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code(), ErrorCode::kCorruption);
  EXPECT_THAT(image.error().message(), testing::HasSubstr(SegmentPath(1)));
  EXPECT_THAT(image.error().message(), testing::HasSubstr("both copies of its header"));
}

// A file that was made ready but never used, whatever it was before.
TEST(WalDamageTest, SparesAreNoDamage) {
  auto disk = MakeDisk();
  const std::string former = disk->Get(SegmentPath(1));
  for (const std::string& spare :
       {std::string(), std::string(64 << 10, '\0'), former.substr(0, 100), former}) {
    auto files = disk->Clone();
    files->Set(SegmentPath(9), spare);
    EXPECT_EQ(RecoverAndGoOn(*files), kUnits);
  }
}

TEST(WalDamageTest, AnySubsetOfPagesOfTheLastGroupRecovers) {
  constexpr uint64_t kSeed = 99;
  for (uint64_t round = 0; round < 300; ++round) {
    Random random(kSeed + round);
    FaultFileSystem files;
    {
      auto log = OpenLog(files, 1, 256 << 10);
      ASSERT_TRUE(log->Load());
      ASSERT_TRUE(AppendOne(*log, MakeUnit(1, 5, 1, 3000)));
      // Writes of the last group succeed, its fsync does not.
      files.FailFrom(files.operations() + 1);
      ASSERT_FALSE(AppendOne(*log, MakeUnit(6, 20, 1, 3000)));
    }
    files.Crash(Survival::kRandom, &random);
    EXPECT_GE(RecoverAndGoOn(files), 5u) << "seed " << kSeed + round;
  }
}

}  // namespace
}  // namespace store::wal
