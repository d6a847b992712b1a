// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <set>
#include <sstream>
#include <string>

namespace logagent {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// One entry in a given state.
AgentView ViewOf(EntryState state, std::string text = {}) {
  AgentView view;
  view.applied_revision = 7;
  EntryTable table;
  table.Apply({{.path = "/a \"b\".log", .topic = "t"}});
  for (const auto& [id, row] : table.rows()) view.rows.push_back(row);
  auto snapshot = std::make_shared<ShardSnapshot>();
  EntryStats stats;
  stats.id = view.rows[0].id;
  stats.state = state;
  stats.text = std::move(text);
  stats.lag_bytes = 5;
  snapshot->entries.push_back(stats);
  view.shard = snapshot;
  return view;
}

TEST(StatusTest, TellsPartialFromAppliedFromFailed) {
  auto state = [](const AgentView& view) {
    return std::string(json::parse(MakeStatusDocument(view, "now").text)["state"]);
  };
  EXPECT_EQ(state(ViewOf(EntryState::kRunning)), "APPLIED");
  EXPECT_EQ(state(ViewOf(EntryState::kNoMatch)), "APPLIED");
  EXPECT_EQ(state(ViewOf(EntryState::kDenied, "permission denied")), "PARTIAL");
  AgentView rejected = ViewOf(EntryState::kRunning);
  rejected.rejected_revision = 8;
  rejected.error = "1:2: the entry has no path";
  EXPECT_EQ(state(rejected), "FAILED");
  rejected.rejected_revision = 3;  // of a store that was set back
  EXPECT_EQ(state(rejected), "FAILED");
  EXPECT_THAT(MetricsText(rejected), HasSubstr("\nsluice_agent_config_rejected 1\n"));
}

TEST(StatusTest, EachFileIsASeriesOfItsOwnWhateverItIsCalled) {
  AgentView view = ViewOf(EntryState::kRunning);
  EntryTable table;
  table.Apply({{.path = "/a*", .topic = "t"}, {.path = "/*b", .topic = "t"}});
  view.rows.clear();
  auto snapshot = std::make_shared<ShardSnapshot>();
  for (const auto& [id, row] : table.rows()) {
    view.rows.push_back(row);
    for (uint64_t device : {1, 2}) {
      FileStats& file = snapshot->files.emplace_back();
      file.entry = id;
      file.path = "/a\xff\\\n\xc3\xa4\"b";
      file.file = {device, 7, 0};
    }
  }
  snapshot->files.emplace_back().entry = EntryId(99);  // removed since
  view.shard = snapshot;
  std::string text = FileMetricsText(view);
  std::set<std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
    EXPECT_THAT(line, HasSubstr("{path=\"/a\xef\xbf\xbd\\\\\\n\xc3\xa4\\\"b\","));
  }
  EXPECT_GE(series.size(), 4U);
}

TEST(StatusTest, EntryWhoseTopicIsNotAcknowledgedIsPausedWithTheReason) {
  AgentView view = ViewOf(EntryState::kRunning);
  view.kafka.stalled = {{"another", "no"}, {"t", "topic t: Kafka does not acknowledge: disk full"}};
  json document = json::parse(MakeStatusDocument(view, "now").text);
  EXPECT_EQ(document["state"], "PARTIAL");
  EXPECT_EQ(document["entries"][0]["state"], "PAUSED");
  EXPECT_THAT(std::string(document["entries"][0]["text"]), HasSubstr("disk full"));
  EXPECT_THAT(MetricsText(view), HasSubstr("\nsluice_agent_stalled_topics 2\n"));
  view.kafka.stalled = {{"another", "no"}};
  EXPECT_EQ(json::parse(MakeStatusDocument(view, "now").text)["state"], "APPLIED");
}

TEST(StatusTest, LagAndTimeAloneAreNoNews) {
  AgentView view = ViewOf(EntryState::kRunning);
  StatusDocument before = MakeStatusDocument(view, "t0");
  auto snapshot = std::make_shared<ShardSnapshot>(*view.shard);
  snapshot->entries[0].lag_bytes = 6;
  view.shard = snapshot;
  StatusDocument after = MakeStatusDocument(view, "t1");
  EXPECT_NE(before.text, after.text);
  EXPECT_EQ(before.stable, after.stable);
}

TEST(StatusTest, EntriesAndFilesShowWhatWasReadSentAndMayComeAgain) {
  AgentView view = ViewOf(EntryState::kRunning);
  auto snapshot = std::make_shared<ShardSnapshot>(*view.shard);
  snapshot->entries[0].lines = 4;
  snapshot->entries[0].window_bytes = 12;
  snapshot->notify_fallback = "/logs: no inotify watch left";
  FileStats file;
  file.entry = snapshot->entries[0].id;
  file.path = "/logs/x";
  file.file.inode = 77;
  file.read_offset = 30;
  file.acked_offset = 18;
  file.window_bytes = 12;
  file.state = "reading";
  snapshot->files.push_back(file);
  view.shard = snapshot;
  json page = json::parse(StatusPage(view, "now"));
  EXPECT_EQ(page["entries"][0]["lines"], 4);
  EXPECT_EQ(page["entries"][0]["window_bytes"], 12);
  EXPECT_EQ(page["watch_error"], "/logs: no inotify watch left");
  // The store is not written for each line.
  EXPECT_FALSE(json::parse(MakeStatusDocument(view, "now").text)["entries"][0].contains("lines"));
  json files = json::parse(FilesPage(view));
  EXPECT_EQ(files[0]["pattern"], "/a \"b\".log");
  EXPECT_EQ(files[0]["topic"], "t");
  EXPECT_EQ(files[0]["acked"], 18);
  EXPECT_THAT(FileMetricsText(view),
              HasSubstr("sluice_agent_file_read_offset_bytes{path=\"/logs/x\",inode=\"77\","
                        "device=\"0\",topic=\"t\",pattern=\"/a \\\"b\\\".log\"} 30\n"));
}

TEST(StatusTest, MetricsQuoteTheirLabels) {
  EXPECT_THAT(MetricsText(ViewOf(EntryState::kRunning)),
              HasSubstr("sluice_agent_entry_lag_bytes{path=\"/a \\\"b\\\".log\",topic=\"t\"} 5\n"));
}

TEST(StatusTest, WritesDatesAndHashes) {
  EXPECT_EQ(Rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(Rfc3339(951'827'696'000'000), "2000-02-29T12:34:56Z");
  EXPECT_EQ(Rfc3339(1'795'223'590'999'999), "2026-11-21T01:13:10Z");
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace logagent
