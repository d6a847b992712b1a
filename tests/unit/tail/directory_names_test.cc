// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/directory_names.h"

#include "tests/agent/sim_file_system.h"
#include "tests/unit/shard/temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace logagent {
namespace {

class CountingFiles final : public FileSystem {
 public:
  Result<FileHandlePtr> Open(const Path& path) override { return files_.Open(path); }
  Result<FileFacts> Stat(const FileHandle& file) const override { return files_.Stat(file); }
  Result<FileFacts> StatPath(const Path& path) const override { return files_.StatPath(path); }
  Result<size_t> ReadAt(const FileHandle& file, uint64_t offset, std::span<char> into) override {
    return files_.ReadAt(file, offset, into);
  }
  Result<std::vector<DirectoryEntry>> List(const Path& directory) const override {
    ++lists;
    return files_.List(directory);
  }
  Result<GlobMatch> Glob(const std::string& pattern) const override { return files_.Glob(pattern); }
  std::optional<LinkTrail> FollowLink(const Path& path) const override {
    return files_.FollowLink(path);
  }
  std::unique_ptr<Notifier> MakeNotifier() override { return files_.MakeNotifier(); }

  mutable int lists = 0;

 private:
  PosixFileSystem files_;
};

class DirectoryNamesTest : public ::testing::Test {
 protected:
  struct Known {
    Path path;
    FileFacts facts;
    uint64_t seen = 0;
  };
  Known Make(const std::string& name) {
    Append(dir_ / name, "x\n");
    return {dir_ / name, *files_.StatPath(dir_ / name), names_.Seen()};
  }
  Result<Path> Find(const Known& file) {
    return names_.Find(file.path, file.facts.device, file.facts.inode, file.seen);
  }

  testing::VirtualClock clock_;
  TempDir dir_;
  CountingFiles files_;
  DirectoryNames names_{files_, clock_};
};

TEST_F(DirectoryNamesTest, RenamedFilesAreFoundByOneListing) {
  Known a = Make("a.log");
  Known b = Make("b.log");
  std::filesystem::rename(dir_ / "a.log", dir_ / "a.log.1");
  std::filesystem::rename(dir_ / "b.log", dir_ / "b.log.1");
  EXPECT_EQ(*Find(a), dir_ / "a.log.1");
  EXPECT_EQ(*Find(b), dir_ / "b.log.1");
  EXPECT_EQ(files_.lists, 1);
}

TEST_F(DirectoryNamesTest, FilesThatAreGoneTogetherCostOneListing) {
  Make("other.log");
  std::vector<Known> files;
  for (int i = 0; i < 50; ++i) {
    files.push_back(Make(fmt::format("{}.log", i)));
  }
  for (const Known& file : files) {
    std::filesystem::remove(file.path);
  }
  for (const Known& file : files) {
    EXPECT_EQ(Find(file).error().code(), store::ErrorCode::kNotFound);
  }
  EXPECT_EQ(files_.lists, 1);
}

TEST_F(DirectoryNamesTest, ListingDoesNotSpeakForAFileThatCameLater) {
  Known gone = Make("gone.log");
  std::filesystem::rename(gone.path, dir_ / "keeps its inode");
  std::filesystem::create_directory(dir_ / "away");
  std::filesystem::rename(dir_ / "keeps its inode", dir_ / "away/gone.log");
  EXPECT_FALSE(Find(gone).has_value());
  Known later = Make("later.log");
  std::filesystem::rename(later.path, dir_ / "later.log.1");
  EXPECT_EQ(*Find(later), dir_ / "later.log.1");
  EXPECT_EQ(files_.lists, 2);
}

TEST_F(DirectoryNamesTest, FileThatWasRenamedSinceTheListingIsLookedForAgain) {
  Known a = Make("a.log");
  Known b = Make("b.log");
  std::filesystem::rename(a.path, dir_ / "a.log.1");
  EXPECT_EQ(*Find(a), dir_ / "a.log.1");
  std::filesystem::rename(b.path, dir_ / "b.log.1");
  EXPECT_EQ(*Find(b), dir_ / "b.log.1");
  std::filesystem::remove(dir_ / "b.log.1");
  EXPECT_FALSE(Find(b).has_value());
  EXPECT_EQ(files_.lists, 3);
}

TEST_F(DirectoryNamesTest, ListingIsKeptForAMoment) {
  Known a = Make("a.log");
  EXPECT_EQ(*Find(a), a.path);
  clock_.Advance(std::chrono::milliseconds(99));
  EXPECT_EQ(*Find(a), a.path);
  EXPECT_EQ(files_.lists, 1);
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(*Find(a), a.path);
  EXPECT_EQ(files_.lists, 2);
}

}  // namespace
}  // namespace logagent
