// SPDX-License-Identifier: Apache-2.0
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/checkpoint/codec.h"
#include "logagent/checkpoint/store.h"
#include "store/base/file.h"
#include "tests/unit/shard/temp_dir.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/mount.h>
#include <unistd.h>

namespace logagent {
namespace {

SavedFile Row(uint64_t inode, uint64_t offset) {
  SavedFile row;
  row.file = {1, inode, 2};
  row.entry = std::string("/a/*.log\0web", 12);
  row.path = "/a/x.log";
  row.size_seen = offset + 10;
  row.offset = offset;
  row.head = {1024, 77};
  row.mark = {64, 88};
  return row;
}

void ExpectSame(const SavedFile& a, const SavedFile& b) {
  EXPECT_EQ(a.file, b.file);
  EXPECT_EQ(a.entry, b.entry);
  EXPECT_EQ(a.path, b.path);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.size_seen, b.size_seen);
  EXPECT_EQ(a.head, b.head);
  EXPECT_EQ(a.mark, b.mark);
}

TEST(CheckpointCodec, RowsComeBackAndDamageIsAnError) {
  SavedFile row = Row(5, 1'000'000'000'000);
  std::string key = EncodeFileKey(row.file, row.entry);
  std::string value = EncodeFileValue(row);
  auto decoded = DecodeFileRow(key, value);
  ASSERT_TRUE(decoded.has_value());
  ExpectSame(*decoded, row);
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(DecodeFileRow(key, value.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeFileRow(key.substr(0, 10), value).has_value());
}

// It is a state directory that cannot be written, with which an agent starts, and not one that
// another agent holds, with which it does not.
TEST(RocksCheckpoint, LockFileThatCannotBeOpenedIsNotAnotherAgent) {
  TempDir dir;
  std::filesystem::create_directories(dir / "blocks/state/LOCK");
  auto opened = OpenRocksCheckpoint(dir / "blocks/state");
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), store::ErrorCode::kIo) << opened.error().message();
}

TEST(RocksCheckpoint, DirectoryThatIsHeldIsAnotherAgents) {
  TempDir dir;
  auto opened = OpenRocksCheckpoint(dir.path());
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(OpenRocksCheckpoint(dir.path()).error().code(), store::ErrorCode::kBusy);
}

TEST(RocksCheckpoint, WhatWasSavedIsThereAfterReopening) {
  TempDir dir;
  {
    auto opened = OpenRocksCheckpoint(dir / "state");
    ASSERT_TRUE(opened.has_value());
    EXPECT_FALSE(opened->notice.empty());
    SavedChanges changes;
    changes.files = {Row(1, 10), Row(2, 20)};
    changes.entries = {"e"};
    changes.config = "cfg";
    ASSERT_TRUE(opened->store->Save(changes, true).has_value());
    SavedChanges gone;
    gone.gone = {{Row(1, 0).file, Row(1, 0).entry}};
    ASSERT_TRUE(opened->store->Save(gone, false).has_value());
    EXPECT_FALSE(OpenRocksCheckpoint(dir / "state").has_value()) << "held by this process";
  }
  auto opened = OpenRocksCheckpoint(dir / "state");
  ASSERT_TRUE(opened.has_value()) << opened.error().message();
  EXPECT_TRUE(opened->notice.empty());
  auto state = opened->store->LoadAll();
  ASSERT_TRUE(state.has_value());
  ASSERT_EQ(state->files.size(), 1U);
  ExpectSame(state->files[0], Row(2, 20));
  EXPECT_TRUE(state->entries.contains("e"));
  EXPECT_EQ(state->config, "cfg");
}

TEST(RocksCheckpoint, DamagedStateIsPutAsideWithANotice) {
  TempDir dir;
  {
    ASSERT_TRUE(OpenRocksCheckpoint(dir / "state").has_value());
  }
  ASSERT_TRUE(
      store::ReplaceFile((dir / "state/CURRENT").string(), "MANIFEST-nonsense\n").has_value());
  auto opened = OpenRocksCheckpoint(dir / "state");
  ASSERT_TRUE(opened.has_value()) << opened.error().message();
  EXPECT_THAT(opened->notice, ::testing::HasSubstr("damaged"));
  EXPECT_TRUE(store::FileExists((dir / "state.corrupt-1").string()));
}

// A small tmpfs over the temporary directory, in a namespace of the process's own.
bool MountSmallDisk(const Path& over) {
  std::string user = fmt::format("0 {} 1", ::getuid());
  std::string group = fmt::format("0 {} 1", ::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return false;
  }
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << user;
  std::ofstream("/proc/self/gid_map") << group;
  return ::mount("tmpfs", over.c_str(), "tmpfs", 0, "size=1m") == 0;
}

// Fills the disk, gives one page of room back at a time until a save succeeds; true when each
// attempt before was an error that says why, and the state then has what was saved. Adds to
// `refused` how many there were: none when a compaction made room after the disk was filled.
bool SurvivesAFullDisk(const Path& state, CheckpointStore& store, uint64_t offset, int& refused) {
  Path fill = state.parent_path() / "fill";
  Append(fill, std::string(2 << 20, 'x'));
  SavedChanges changes;
  for (uint64_t inode = 0; inode < 200; ++inode) {
    changes.files.push_back(Row(inode, offset));
  }
  int failures = 0;
  for (Status saved; !(saved = store.Save(changes, failures % 2 == 0)); ++failures) {
    uintmax_t filled = std::filesystem::file_size(fill);
    if (!::testing::Value(saved.error().message(), ::testing::HasSubstr("No space left")) ||
        filled < 4096) {
      fmt::print(stderr, "{} bytes filled: {}\n", filled, saved.error().message());
      return false;
    }
    std::filesystem::resize_file(fill, filled - 4096);
  }
  refused += failures;
  std::filesystem::remove(fill);
  auto read = store.LoadAll();
  std::filesystem::directory_iterator files(state);
  auto count = std::distance(begin(files), end(files));
  fmt::print(stderr, "offset {}: {} failures, {} files\n", offset, failures, count);
  return count < 20 && store.Sync() && read && read->files.size() == 200 &&
         std::ranges::all_of(read->files, [=](auto& row) { return row.offset == offset; });
}

TEST(RocksCheckpointDeathTest, RoomThatReturnsPageByPageIsUsedOnceItIsEnough) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto survive = [] {
    Path temp = std::filesystem::temp_directory_path();
    if (!MountSmallDisk(temp)) {
      return 2;
    }
    auto opened = OpenRocksCheckpoint(temp / "state");
    bool survived = opened.has_value();
    if (!opened) {
      fmt::print(stderr, "{}\n", opened.error().message());
    }
    int refused = 0;
    for (uint64_t round = 1; survived && round <= 10; ++round) {
      survived = SurvivesAFullDisk(temp / "state", *opened->store, round, refused);
    }
    survived = survived && refused > 0;
    opened->store.reset();
    auto read = ReadRocksCheckpoint(temp / "state");
    return survived && read && read->files.size() == 200 && read->files[0].offset == 10 ? 0 : 1;
  };
  EXPECT_EXIT(std::exit(survive()), ::testing::ExitedWithCode(0), "offset 10");
}

// Refuses while told to.
class MoodyStore final : public CheckpointStore {
 public:
  explicit MoodyStore(std::atomic<bool>& refuse, MemoryCheckpointStore& kept)
      : refuse_(refuse), kept_(kept) {}
  Result<SavedState> LoadAll() override { return kept_.LoadAll(); }
  Status Save(const SavedChanges& changes, bool sync) override {
    if (refuse_) {
      return store::Fail(store::ErrorCode::kNoSpace, "disk full");
    }
    return kept_.Save(changes, sync);
  }
  Status Sync() override { return store::Ok(); }

 private:
  std::atomic<bool>& refuse_;
  MemoryCheckpointStore& kept_;
};

class CheckpointerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Checkpointer> Make() {
    auto made = std::make_unique<Checkpointer>(std::make_unique<MoodyStore>(refuse_, kept_),
                                               CheckpointerOptions{}, clock_);
    EXPECT_TRUE(made->Start().has_value());
    return made;
  }
  store::SystemClock clock_;
  std::atomic<bool> refuse_ = false;
  MemoryCheckpointStore kept_;
};

TEST_F(CheckpointerTest, StartIsDurableWhenItsCallbackRunsAndProgressFollows) {
  auto checkpointer = Make();
  std::atomic<int> done = 0;
  SavedChanges start;
  start.files = {Row(1, 0)};
  start.entries = {Row(1, 0).entry};
  checkpointer->SaveNow(std::move(start), [&](const Status& saved) { done = saved ? 1 : 2; });
  ASSERT_TRUE(WaitUntil([&] { return done == 1; }));
  EXPECT_TRUE(checkpointer->Applied(Row(1, 0).entry));
  checkpointer->Progress(Row(1, 50));
  checkpointer->Progress(Row(2, 50));  // never started: ignored
  ASSERT_TRUE(checkpointer->Stop().has_value());
  auto state = kept_.LoadAll();
  ASSERT_EQ(state->files.size(), 1U);
  EXPECT_EQ(state->files[0].offset, 50U);
}

TEST_F(CheckpointerTest, FullDiskIsReportedAndEverythingIsWrittenLater) {
  auto checkpointer = Make();
  refuse_ = true;
  std::atomic<int> done = 0;
  SavedChanges start;
  start.files = {Row(1, 0)};
  checkpointer->SaveNow(std::move(start), [&](const Status& saved) { done = saved ? 1 : 2; });
  ASSERT_TRUE(WaitUntil([&] { return done == 2; }));
  EXPECT_EQ(checkpointer->Stats().error, "disk full");
  checkpointer->Progress(Row(1, 70));
  refuse_ = false;
  ASSERT_TRUE(WaitUntil([&] { return checkpointer->Stats().error.empty(); }));
  ASSERT_TRUE(checkpointer->Stop().has_value());
  EXPECT_EQ(kept_.LoadAll()->files.at(0).offset, 70U);
}

TEST_F(CheckpointerTest, DroppedWithoutStopWritesNothingMore) {
  auto checkpointer = Make();
  std::atomic<bool> done = false;
  SavedChanges start;
  start.files = {Row(1, 0)};
  checkpointer->SaveNow(std::move(start), [&](const Status&) { done = true; });
  ASSERT_TRUE(WaitUntil([&] { return done.load(); }));
  refuse_ = true;
  checkpointer->Progress(Row(1, 50));
  checkpointer.reset();
  EXPECT_EQ(kept_.LoadAll()->files.at(0).offset, 0U);
}

}  // namespace
}  // namespace logagent
