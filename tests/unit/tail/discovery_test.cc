// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/discovery.h"

#include "logagent/tail/glob.h"
#include "logagent/tail/notify.h"
#include "logagent/tail/schedule.h"
#include "logagent/tail/splitter.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <poll.h>
#include <set>
#include <string>
#include <vector>

namespace logagent {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DiscoveryTest : public ::testing::Test {
 protected:
  void Touch(const std::string& name) {
    std::filesystem::create_directories((dir_ / name).parent_path());
    Append(dir_ / name, "x\n");
  }
  std::vector<std::string> Find(const std::string& pattern) {
    auto found = Discover(files_, (dir_ / pattern).string());
    std::vector<std::string> names;
    for (const FoundFile& file : found->files) {
      names.push_back(std::filesystem::relative(file.path, dir_.path()).string());
    }
    return names;
  }
  TempDir dir_;
  PosixFileSystem files_;
};

TEST_F(DiscoveryTest, PatternsMatchByComponentAndByAnyDepth) {
  for (const char* name : {"a.log", "b.txt", "x/a.log", "x/y/a.log", ".hidden.log", "a.log.1.gz"}) {
    Touch(name);
  }
  EXPECT_THAT(Find("*.log"), ElementsAre("a.log"));
  EXPECT_THAT(Find("*/a.log"), ElementsAre("x/a.log"));
  EXPECT_THAT(Find("**/a.log"), ElementsAre("a.log", "x/a.log", "x/y/a.log"));
  EXPECT_THAT(Find("a.log*"), ElementsAre("a.log"));
  EXPECT_THAT(Find("a.log.*.gz"), ElementsAre("a.log.1.gz"));
  EXPECT_THAT(Find("[ab].*"), ElementsAre("a.log", "b.txt"));
  EXPECT_THAT(Find("none/*.log"), IsEmpty());
}

TEST_F(DiscoveryTest, LiteralNameWithGlobCharactersWins) {
  Touch("a[1].log");
  Touch("a1.log");
  EXPECT_THAT(Find("a[1].log"), ElementsAre("a[1].log"));
}

// Two ways round in each directory are more ways than can be walked: the walk ended then, in
// silence, and files behind it were not collected.
TEST_F(DiscoveryTest, CirclesOfLinksAreWalkedOnce) {
  Touch("a.log");
  Touch("x/b.log");
  Touch("z/c.log");
  for (const char* link : {"round", "x/up", "x/again", "x/here"}) {
    std::string target = std::string(link) == "x/here" ? "." : link[0] == 'x' ? ".." : "x";
    std::filesystem::create_directory_symlink(target, dir_ / link);
  }
  EXPECT_THAT(Find("**/*.log"), ElementsAre("a.log", "x/b.log", "z/c.log"));
  EXPECT_THAT(Find("**"), ElementsAre("a.log", "x/b.log", "z/c.log"));
  EXPECT_THAT(Find("**/x/**/b.log"), ElementsAre("x/b.log"));
  auto found = Discover(files_, (dir_ / "**/*.log").string());
  EXPECT_EQ(found->error, "");
  EXPECT_LE(found->directories.size(), 8U);
}

TEST_F(DiscoveryTest, DeeperThanCanBeWalkedIsTold) {
  std::string path = "d";
  for (size_t i = 0; i < kGlobDepthMax; ++i) {
    path += "/d";
  }
  Touch(path + "/a.log");
  auto found = Discover(files_, (dir_ / "**/*.log").string());
  EXPECT_THAT(found->error, ::testing::HasSubstr("only"));
}

TEST_F(DiscoveryTest, HardLinksAreOneFile) {
  Touch("a.log");
  std::filesystem::create_hard_link(dir_ / "a.log", dir_ / "b.log");
  EXPECT_THAT(Find("*.log"), ElementsAre("a.log"));
}

TEST_F(DiscoveryTest, MissingDirectoryIsHeardOfThroughItsNearestAncestor) {
  auto found = Discover(files_, (dir_ / "x/y/*.log").string());
  EXPECT_THAT(found->directories, Contains(dir_.path()));
}

TEST_F(DiscoveryTest, NotifierForgetsADirectoryWhenItsLastNameIsUnwatched) {
  DirectoryNotifier notifier;
  std::filesystem::create_directory_symlink(dir_.path(), dir_ / "other");
  ASSERT_TRUE(notifier.Watch(dir_.path()).has_value());
  ASSERT_TRUE(notifier.Watch(dir_ / "other").has_value());
  auto events = [&] {
    std::vector<std::string> seen;
    notifier.Drain([&](const NotifyEvent& event) { seen.push_back(event.path.native()); });
    return seen;
  };
  notifier.Unwatch(dir_.path());
  Append(dir_ / "a.log", "x");
  EXPECT_THAT(events(), Each(HasSubstr("/other/a.log")));
  notifier.Unwatch(dir_ / "other");
  notifier.Unwatch(dir_ / "never watched");
  Append(dir_ / "a.log", "x");
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_EQ(notifier.watches(), 0U);
  EXPECT_TRUE(*notifier.Watch(dir_.path()));
}

TEST_F(DiscoveryTest, NotifierTellsOfNewAndGoneNames) {
  DirectoryNotifier notifier;
  ASSERT_TRUE(notifier.Watch(dir_.path()).has_value());
  Touch("a.log");
  Append(dir_ / "a.log", "more\n");
  std::filesystem::rename(dir_ / "a.log", dir_ / "b.log");
  pollfd fd{notifier.Fd(), POLLIN, 0};
  ASSERT_EQ(poll(&fd, 1, 5000), 1);
  std::multiset<std::pair<NotifyEvent::Kind, std::string>> seen;
  notifier.Drain(
      [&](const NotifyEvent& event) { seen.emplace(event.kind, event.path.filename().string()); });
  using Kind = NotifyEvent::Kind;
  EXPECT_THAT(
      seen, ElementsAre(std::pair(Kind::kModified, "a.log"), std::pair(Kind::kAppeared, "a.log"),
                        std::pair(Kind::kAppeared, "b.log"), std::pair(Kind::kVanished, "a.log")));
}

TEST(Splitter, AgreesWithTheObviousWayOnRandomBytes) {
  store::Random random = store::SeededRandom("splitter");
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random.Below(300), 'x');
    for (char& byte : bytes) {
      byte = "ab\r\n"[random.Below(4)];
    }
    size_t from = bytes.empty() ? 0 : random.Below(bytes.size());
    std::vector<Line> lines;
    size_t end = SplitLines(bytes, from, true, lines);
    std::vector<std::string> expected;
    size_t at = from;
    for (size_t next = bytes.find('\n', at); next != std::string::npos;
         next = bytes.find('\n', at)) {
      std::string line = bytes.substr(at, next - at);
      if (line.ends_with('\r')) {
        line.pop_back();
      }
      expected.push_back(line);
      at = next + 1;
    }
    std::vector<std::string> got;
    for (const Line& line : lines) {
      got.push_back(bytes.substr(line.begin, line.length));
    }
    ASSERT_EQ(got, expected);
    ASSERT_EQ(end, at);
    ASSERT_EQ(LastLineEnd(bytes, from), at);
  }
}

TEST(Schedule, BacklogAndLiveFilesTakeTurns) {
  Schedule schedule(100);
  schedule.Ready(1);
  EXPECT_EQ(schedule.Next()->task, 1U);
  schedule.Done(1, 100, true);
  schedule.Ready(2);
  schedule.Ready(2);
  std::multiset<TaskId> served;
  for (int i = 0; i < 2; ++i) {
    auto turn = schedule.Next();
    served.insert(turn->task);
    schedule.Done(turn->task, 100, turn->task == 1);
  }
  EXPECT_THAT(served, ElementsAre(1U, 2U));
  EXPECT_EQ(schedule.Next()->task, 1U);
  schedule.Done(1, 10, false);
  EXPECT_TRUE(!schedule.Next());
}

}  // namespace
}  // namespace logagent
