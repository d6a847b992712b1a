// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/diff.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace logagent {
namespace {

using Entries = std::vector<EntryConfig>;

EntryConfig Entry(std::string path, std::string topic) {
  return {.path = std::move(path), .topic = std::move(topic)};
}

TEST(DiffTest, UnchangedEntriesAreInNoList) {
  Entries both = {Entry("/a", "t"), Entry("/b", "t")};
  Entries moved = {both[1], both[0]};
  EXPECT_TRUE(Diff(both, moved).empty());
}

TEST(DiffTest, ANewTopicOnTheSamePathIsAChange) {
  ConfigDiff diff = Diff({Entry("/a", "t")}, {Entry("/a", "u")});
  ASSERT_EQ(diff.change.size(), 1U);
  EXPECT_TRUE(diff.change[0].topic_changed());
  EXPECT_TRUE(diff.start.empty());
  EXPECT_TRUE(diff.stop.empty());
}

TEST(DiffTest, PairsByPathAndTopicComeFirst) {
  ConfigDiff diff =
      Diff({Entry("/a", "t"), Entry("/a", "u")}, {Entry("/a", "u"), Entry("/a", "v")});
  ASSERT_EQ(diff.change.size(), 1U);
  EXPECT_EQ(diff.change[0].from.topic, "t");
  EXPECT_EQ(diff.change[0].to.topic, "v");
}

TEST(DiffTest, TheCoursesAmbiguousNamesAreDifferentEntries) {
  ConfigDiff diff = Diff({Entry("/a_b", "c")}, {Entry("/a", "b_c")});
  EXPECT_EQ(diff.start.size(), 1U);
  EXPECT_EQ(diff.stop.size(), 1U);
}

TEST(DiffTest, AnotherOptionIsAChangeWithoutAnotherTopic) {
  EntryConfig to = Entry("/a", "t");
  to.strip_cr = true;
  ConfigDiff diff = Diff({Entry("/a", "t")}, {to});
  ASSERT_EQ(diff.change.size(), 1U);
  EXPECT_FALSE(diff.change[0].topic_changed());
}

// A random valid list over few paths and topics, so that every kind of overlap is met.
Entries RandomEntries(store::Random* random) {
  std::map<std::string, EntryConfig> entries;
  for (uint64_t i = random->Below(8); i > 0; --i) {
    EntryConfig entry =
        Entry("/" + std::to_string(random->Below(3)), "t" + std::to_string(random->Below(4)));
    entry.strip_cr = random->Chance(0.2);
    entries.emplace(EntryKey(entry.path, entry.topic), entry);
  }
  Entries list;
  for (auto& [key, entry] : entries) list.push_back(entry);
  for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random->Below(i)]);
  return list;
}

std::map<std::string, EntryConfig> ByKey(const Entries& entries) {
  std::map<std::string, EntryConfig> by_key;
  for (const auto& entry : entries) by_key.emplace(EntryKey(entry.path, entry.topic), entry);
  return by_key;
}

TEST(DiffTest, CarriedOutItLeadsFromAnyListToAnyOther) {
  store::Random random = store::SeededRandom("diff");
  for (int round = 0; round < 20'000; ++round) {
    Entries running = RandomEntries(&random);
    Entries wanted = RandomEntries(&random);
    ConfigDiff diff = Diff(running, wanted);
    auto now = ByKey(running);
    for (const auto& entry : diff.stop) ASSERT_EQ(now.erase(EntryKey(entry.path, entry.topic)), 1U);
    for (const auto& change : diff.change) {
      ASSERT_EQ(change.from.path, change.to.path);
      ASSERT_EQ(now.erase(EntryKey(change.from.path, change.from.topic)), 1U);
    }
    for (const auto& change : diff.change) {
      ASSERT_TRUE(now.emplace(EntryKey(change.to.path, change.to.topic), change.to).second);
    }
    for (const auto& entry : diff.start) {
      ASSERT_TRUE(now.emplace(EntryKey(entry.path, entry.topic), entry).second);
    }
    ASSERT_EQ(now, ByKey(wanted));
    // A path is never both stopped and started: that would lose its position.
    for (const auto& stop : diff.stop) {
      ASSERT_TRUE(std::ranges::none_of(
          diff.start, [&](const EntryConfig& start) { return start.path == stop.path; }));
    }
  }
}

}  // namespace
}  // namespace logagent
