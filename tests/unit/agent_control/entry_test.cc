// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/entry.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace logagent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

EntryConfig Entry(std::string path, std::string topic, bool strip_cr = false) {
  return {.path = std::move(path), .topic = std::move(topic), .strip_cr = strip_cr};
}

std::vector<std::string> Shown(const std::vector<EntryCommand>& commands) {
  static constexpr const char* kNames[] = {"start", "stop", "topic"};
  std::vector<std::string> out;
  for (const auto& command : commands) {
    out.push_back(fmt::format("{} {} {}>{}", kNames[static_cast<int>(command.kind)],
                              command.id.value(), command.config.path, command.config.topic));
  }
  return out;
}

TEST(EntryTableTest, ReloadsAgainAndAgainTouchOnlyWhatChanged) {
  EntryTable table;
  EXPECT_THAT(Shown(table.Apply({Entry("/a", "t"), Entry("/b", "t")})),
              ElementsAre("start 1 /a>t", "start 2 /b>t"));
  EXPECT_THAT(Shown(table.Apply({Entry("/b", "t"), Entry("/a", "t")})), IsEmpty());
  EXPECT_THAT(Shown(table.Apply({Entry("/b", "t"), Entry("/c", "t")})),
              ElementsAre("stop 1 /a>t", "start 3 /c>t"));
  // The course's agent forgets what came later: a second removal works here.
  EXPECT_THAT(Shown(table.Apply({Entry("/b", "t")})), ElementsAre("stop 3 /c>t"));
}

TEST(EntryTableTest, ATopicChangeKeepsTheEntry) {
  EntryTable table;
  table.Apply({Entry("/a", "t")});
  EXPECT_THAT(Shown(table.Apply({Entry("/a", "u")})), ElementsAre("topic 1 /a>u"));
  EXPECT_THAT(Shown(table.Apply({Entry("/a", "t")})), ElementsAre("topic 1 /a>t"));
}

TEST(EntryTableTest, AnEntryThatComesBackWaitsUntilItsFormerSelfIsDrained) {
  EntryTable table;
  table.Apply({Entry("/a", "t")});
  table.Apply({});
  EXPECT_THAT(Shown(table.Apply({Entry("/a", "t")})), IsEmpty());
  EXPECT_THAT(Shown(table.Drained(EntryId(1))), ElementsAre("start 2 /a>t"));
  EXPECT_THAT(Shown(table.Drained(EntryId(1))), IsEmpty());
}

TEST(EntryTableTest, AParkedEntryThatIsRemovedNeverStarts) {
  EntryTable table;
  table.Apply({Entry("/a", "t")});
  table.Apply({});
  table.Apply({Entry("/a", "t")});
  EXPECT_THAT(Shown(table.Apply({})), IsEmpty());
  EXPECT_THAT(Shown(table.Drained(EntryId(1))), IsEmpty());
  EXPECT_TRUE(table.rows().empty());
}

TEST(EntryTableTest, AnotherOptionRestartsTheEntryAfterItsDrain) {
  EntryTable table;
  table.Apply({Entry("/a", "t")});
  EXPECT_THAT(Shown(table.Apply({Entry("/a", "t", true)})), ElementsAre("stop 1 /a>t"));
  EXPECT_THAT(Shown(table.Drained(EntryId(1))), ElementsAre("start 2 /a>t"));
  EXPECT_TRUE(table.rows().begin()->second.config.strip_cr);
}

TEST(EntryTableTest, AChangeToATopicThatIsStillDrainingDoesNotShareItsRow) {
  EntryTable table;
  table.Apply({Entry("/a", "t"), Entry("/a", "u")});
  table.Apply({Entry("/a", "t")});
  EXPECT_THAT(Shown(table.Apply({Entry("/a", "u")})), ElementsAre("stop 1 /a>t"));
  EXPECT_THAT(Shown(table.Drained(EntryId(1))), IsEmpty());
  EXPECT_THAT(Shown(table.Drained(EntryId(2))), ElementsAre("start 3 /a>u"));
}

}  // namespace
}  // namespace logagent
