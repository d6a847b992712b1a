// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/explain.h"

#include "logagent/agent/commands.h"
#include "logagent/agent/explain_command.h"
#include "logagent/agent/http_admin.h"
#include "logagent/model/model.h"
#include "store/base/clock.h"
#include "tests/agent/sim_file_system.h"
#include "tests/unit/shard/temp_dir.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

namespace logagent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    files_.MakeDirectory("/logs");
    files_.Append("/logs/a.log", "one\ntwo\n");
    account_.running = true;
    account_.source = "as the test says";
    AddEntry("/logs/*.log", "web");
  }
  void AddEntry(const std::string& path, const std::string& topic) {
    account_.entries.push_back({path, topic, "RUNNING", "", true});
  }
  void AddFile(const std::string& path, const std::string& state) {
    auto facts = files_.StatPath(path);
    account_.files.push_back(
        {"/logs/*.log", "web", path, facts->device, facts->inode, 8, 8, 4, 1.5, state, ""});
  }
  Explanation Of(const std::string& path) { return Explain(files_, path, account_); }

  testing::VirtualClock clock_;
  testing::SimFileSystem files_{clock_};
  AgentAccount account_;
};

TEST_F(ExplainTest, CollectedFileShowsItsEntryAndOffsets) {
  AddFile("/logs/a.log", "reading");
  Explanation of = Of("/logs/a.log");
  EXPECT_TRUE(of.collected);
  EXPECT_THAT(of.text, AllOf(HasSubstr("regular file, 8 bytes"),
                             HasSubstr("entry /logs/*.log -> web: the name matches"),
                             HasSubstr("collected: reading, read to 8, acknowledged to 4 of 8, "
                                       "1.5 s behind"),
                             HasSubstr("as the test says")));
}

TEST_F(ExplainTest, NameThatMatchesNoPatternShowsTheNearestAndWhy) {
  AddEntry("/elsewhere/**/x.log", "other");
  files_.Append("/logs/a.txt", "one\n");
  Explanation of = Of("/logs/a.txt");
  EXPECT_FALSE(of.collected);
  EXPECT_THAT(of.text, AllOf(HasSubstr("no pattern of 2 matches"),
                             HasSubstr("/logs/*.log -> web: \"a.txt\" does not match \"*.log\"")));
  EXPECT_THAT(Of("/logs/.a.log").text, HasSubstr("\".a.log\" is hidden"));
  EXPECT_THAT(Of("/logs/b/a.log").text, HasSubstr("\"b\" does not match \"*.log\""));
}

TEST_F(ExplainTest, WhatKeepsAMatchingFileFromBeingCollectedIsTold) {
  account_.entries[0].path = "/logs/*";
  files_.Append("/logs/a.log.1.gz", "bytes");
  EXPECT_THAT(Of("/logs/a.log.1.gz").text, HasSubstr("a compressed leftover of rotation"));
  EXPECT_THAT(Of("/logs/none.log").text, HasSubstr("not collected: there is no such file"));
  files_.SetReadable("/logs/a.log", false);
  account_.entries[0].state = "DENIED";
  account_.entries[0].text = "/logs/a.log: permission denied";
  Explanation of = Of("/logs/a.log");
  EXPECT_FALSE(of.collected);
  EXPECT_THAT(of.text, AllOf(HasSubstr("the entry is DENIED: /logs/a.log: permission denied"),
                             HasSubstr("not collected: ")));
}

TEST_F(ExplainTest, HeldBackCopyAndRotatedFileAreToldApart) {
  AddFile("/logs/a.log", "held back");
  Explanation held = Of("/logs/a.log");
  EXPECT_FALSE(held.collected);
  EXPECT_THAT(held.text, HasSubstr("not collected yet: held back"));
  account_.files[0].state = "finishing";
  files_.Rename("/logs/a.log", "/logs/a.old");
  Explanation rotated = Of("/logs/a.old");
  EXPECT_TRUE(rotated.collected);
  EXPECT_THAT(rotated.text, HasSubstr("collected it under a name that matches and still has it"));
}

TEST_F(ExplainTest, StoppedAgentIsExplainedByListAndCheckpoints) {
  SavedState state;
  SavedFile& row = state.files.emplace_back();
  auto facts = files_.StatPath("/logs/a.log");
  row.file = {facts->device, facts->inode, 0};
  row.entry = EntryKey("/logs/*.log", "web");
  row.path = "/logs/a.log";
  row.offset = 4;
  row.size_seen = 8;
  state.entries.insert(EntryKey("/logs/*.log", "web"));
  std::vector<EntryConfig> entries(2);
  entries[0].path = entries[1].path = "/logs/*.log";
  entries[0].topic = "web";
  entries[1].topic = "new";
  account_ = AccountOfState(entries, state);
  EXPECT_THAT(Of("/logs/a.log").text,
              AllOf(HasSubstr("collected: checkpointed, read to 4, acknowledged to 4 of 8"),
                    HasSubstr("start at its end, for it has never applied this entry")));
}

TEST(ExplainCommand, AsksTheRunningAgentAndElseReadsItsState) {
  TempDir dir;
  Append(dir / "a.log", "one\n");
  Append(dir / "list.json",
         fmt::format("[{{\"path\":\"{}/*.log\",\"topic\":\"web\"}}]", dir.path().string()));
  AgentConfig config;
  config.settings.state_dir = (dir / "state").string();
  config.settings.entries_file = (dir / "list.json").string();
  store::SystemClock clock;
  HttpAdmin admin(clock);
  admin.Add("/status", [] {
    return HttpPage{.body = R"({"id":"m1","version":"1","entries":[
      {"path":"/x/*.log","topic":"web","state":"RUNNING"}]})"};
  });
  admin.Add("/debug/files", [] { return HttpPage{.body = "[]"}; });
  ASSERT_TRUE(admin.Start("127.0.0.1:0").has_value());
  config.settings.admin_address = fmt::format("127.0.0.1:{}", admin.port());
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(RunExplain(config, (dir / "a.log").string(), out, err), 1);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("as the running agent m1 says"),
                               HasSubstr("no pattern of 1 matches")));
  admin.Stop();
  out.str("");
  EXPECT_EQ(RunExplain(config, (dir / "a.log").string(), out, err), 0) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("no agent answers"), HasSubstr("no checkpoint"),
                               Not(HasSubstr("m1"))));
  EXPECT_EQ(err.str(), "");
}

TEST(ExplainCommand, WhatCannotBeReadIsToldAndNoCrash) {
  TempDir dir;
  std::filesystem::create_symlink("round", dir / "round");
  AgentConfig config;
  config.settings.admin_address.clear();
  config.settings.state_dir = (dir / "round").string();
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(RunExplain(config, "/logs/a.log", out, err), 1);
  EXPECT_NE(err.str(), "");
  config.settings.state_dir = (dir / "state").string();
  config.entries.resize(1);
  config.entries[0].path = "/logs/a.log";
  err.str("");
  EXPECT_EQ(RunExplain(config, "", out, err), 1);
  EXPECT_NE(err.str(), "");
  EXPECT_FALSE(AccountOfPages(R"({"entries":[1]})", "[]").has_value());
  EXPECT_FALSE(AccountOfPages(R"({"entries":[{"path":1}]})", "[]").has_value());
  EXPECT_FALSE(AccountOfPages(R"({"entries":[],"id":1})", "[[]]").has_value());
}

}  // namespace
}  // namespace logagent
