// SPDX-License-Identifier: Apache-2.0
#include "store/base/file.h"

#include "tests/unit/base/temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

// What was synced, in order: this program's fsync goes before the C library's.
std::vector<std::string>& Synced() {
  static std::vector<std::string> paths;
  return paths;
}

}  // namespace

extern "C" int fsync(int fd) {
  Synced().push_back(std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd)).string());
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace store {
namespace {

class FileTest : public ::testing::Test {
 protected:
  std::string Path(std::string_view name) const { return JoinPath(dir_.path(), name); }

  TempDir dir_;
};

TEST_F(FileTest, ReplaceThenReadGivesTheContents) {
  std::string big(200'000, 'x');
  ASSERT_TRUE(ReplaceFile(Path("f"), "old"));
  ASSERT_TRUE(ReplaceFile(Path("f"), big, 0640));
  EXPECT_EQ(ReadFile(Path("f")).value(), big);
  EXPECT_EQ(FileSize(Path("f")).value(), big.size());
  EXPECT_EQ(ListDirectory(dir_.path()).value(), std::vector<std::string>{"f"});
  struct stat status{};
  ASSERT_EQ(::stat(Path("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST_F(FileTest, ErrorsNameThePathAndTheKind) {
  auto missing = ReadFile(Path("missing"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message().find(Path("missing")), std::string::npos);
  EXPECT_FALSE(ReplaceFile(Path("no/dir/f"), "x"));
  EXPECT_FALSE(ListDirectory(Path("missing")));
  EXPECT_FALSE(SyncDirectory(Path("missing")));
}

TEST_F(FileTest, FullDiskIsNoSpace) {
  auto fd = OpenFile("/dev/full", O_WRONLY);
  ASSERT_TRUE(fd);
  Status status = WriteAll(fd->get(), "x", "/dev/full");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kNoSpace);
}

TEST_F(FileTest, ReadRefusesMoreThanItsLimit) {
  ASSERT_TRUE(ReplaceFile(Path("f"), "12345"));
  EXPECT_TRUE(ReadFile(Path("f"), 5));
  auto refused = ReadFile(Path("f"), 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(FileTest, FailedReplaceLeavesTheOldContentsAndNoTemporary) {
  // A directory in the place of the file: the rename fails after the temporary was written.
  ASSERT_TRUE(MakeDirs(Path("f/child")));
  EXPECT_FALSE(ReplaceFile(Path("f"), "x"));
  EXPECT_TRUE(FileExists(Path("f/child")));
  EXPECT_FALSE(FileExists(Path("f.tmp")));
}

// A power cut after the first acknowledged write must not take the directory it is in.
TEST_F(FileTest, WhatMakeDirsMadeIsDurable) {
  Synced().clear();
  ASSERT_TRUE(MakeDirs(Path("a/b/c")));
  const std::string root = std::filesystem::canonical(dir_.path()).string();
  EXPECT_EQ(Synced(), (std::vector<std::string>{root, root + "/a", root + "/a/b"}));
  Synced().clear();
  ASSERT_TRUE(MakeDirs(Path("a/b/c")));
  EXPECT_EQ(Synced(), std::vector<std::string>()) << "nothing was made";
}

TEST_F(FileTest, MakesAndRemovesTrees) {
  ASSERT_TRUE(MakeDirs(Path("a/b/c")));
  ASSERT_TRUE(MakeDirs(Path("a/b/c/")));
  ASSERT_TRUE(ReplaceFile(Path("a/b/c/f"), "x"));
  Status status = MakeDirs(Path("a/b/c/f/g"));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message().find("a/b/c/f"), std::string::npos);
  ASSERT_TRUE(RemoveAll(Path("a")));
  EXPECT_FALSE(FileExists(Path("a")));
  EXPECT_TRUE(RemoveAll(Path("a")));
}

TEST_F(FileTest, SecondLockIsBusyUntilTheFirstGoes) {
  {
    auto first = FileLock::Acquire(Path("lock"));
    ASSERT_TRUE(first);
    auto second = FileLock::Acquire(Path("lock"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::kBusy);
  }
  EXPECT_TRUE(FileLock::Acquire(Path("lock")));
}

TEST_F(FileTest, DiskSpaceIsPlausible) {
  DiskSpace space = GetDiskSpace(dir_.path()).value();
  EXPECT_GT(space.total_bytes, 0u);
  EXPECT_LE(space.available_bytes, space.total_bytes);
  EXPECT_FALSE(GetDiskSpace(Path("missing")));
}

TEST_F(FileTest, PathsAreCutAndJoined) {
  EXPECT_EQ(DirectoryOf("a/b/c"), "a/b");
  EXPECT_EQ(DirectoryOf("c"), ".");
  EXPECT_EQ(DirectoryOf("/c"), "/");
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

TEST_F(FileTest, UniqueFdMovesItsDescriptor) {
  UniqueFd first = OpenFile("/dev/null", O_RDONLY).value();
  int number = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what a move leaves is the point
  EXPECT_EQ(second.get(), number);
  second.Reset();
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

}  // namespace
}  // namespace store
