// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/config_text.h"

#include "store/ctl/agent_commands.h"

#include <gtest/gtest.h>

namespace store::ctl {
namespace {

TEST(ConfigTextTest, ErrorsSayFileLineAndColumn) {
  auto checked = CheckList("web.json", "[\n  {\"path\": 7, \"topic\": \"t\"}\n]");
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message(),
            "web.json:2:12: \"path\" must be a string, this is a number");
}

TEST(ConfigTextTest, JsonIsKeptByteForByte) {
  std::string text = R"([{"path":"/a","topic":"t","extra":1}])";
  auto checked = CheckList("stdin", text);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->text, text);
  EXPECT_EQ(checked->list.warnings.size(), 1U);
}

TEST(ConfigTextTest, YamlBecomesJson) {
  auto checked = CheckList("a.yaml", "entries:\n  - path: /a\n    topic: t\n");
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(checked->text, "[\n  {\"path\": \"/a\", \"topic\": \"t\"}\n]\n");
}

TEST(ConfigTextTest, OnlyAddressesHaveAList) {
  EXPECT_EQ(ConfigKey("10.0.0.7").value(), "/logagent/10.0.0.7/collect_config");
  for (std::string text : {"", "_", "host", "10.0.0.7/x"}) EXPECT_FALSE(ConfigKey(text)) << text;
}

TEST(ConfigTextTest, HistoryKeysSortAsNumbers) {
  EXPECT_EQ(HistoryKey("10.0.0.7", 12), "/logagent/_/history/10.0.0.7/00000012");
  EXPECT_EQ(HistoryNumber(HistoryKey("10.0.0.7", 12)), 12U);
  EXPECT_EQ(HistoryNumber("/logagent/_/history/x/abc"), 0U);
}

TEST(ConfigTextTest, HistoryRecordsAreJson) {
  EXPECT_EQ(HistoryJson({.author = "a\"b",
                         .time = "t",
                         .reason = "r",
                         .base_revision = 3,
                         .old_value = std::nullopt,
                         .new_value = "[]"}),
            R"({"author":"a\"b","time":"t","reason":"r","base_revision":3,"old":null,"new":"[]"})");
}

TEST(ConfigTextTest, DifferencesAreShownEntryByEntry) {
  std::string from =
      R"([{"path":"/a","topic":"t"},{"path":"/b","topic":"t"},{"path":"/c","topic":"t"}])";
  std::string to =
      R"([{"path":"/a","topic":"u"},{"path":"/b","topic":"t","strip_cr":true},{"path":"/d","topic":"t"}])";
  EXPECT_EQ(DifferenceText(from, to),
            "  - /c -> t\n  + /d -> t\n  ~ /a: t -> u\n  ~ /b -> t: other options\n");
  EXPECT_EQ(DifferenceText(from, from), "  the same entries\n");
  EXPECT_NE(DifferenceText("{", to).find("no entry list"), std::string::npos);
}

TEST(ConfigTextTest, TimesAreUtc) { EXPECT_EQ(UtcText(1'000'000), "1970-01-01T00:00:01Z"); }

TEST(AgentRowsTest, DocumentsAreJoinedById) {
  auto rows = MakeAgentRows(
      {{"a", R"({"ips":["10.0.0.7"],"host":"h","version":"0.1.0","newer":1})"}, {"b", "{}"}},
      {{"a", R"({"state":"PARTIAL","applied_revision":9,"entries":[
               {"path":"/x","lag_bytes":1000,"lost_bytes":{"deleted":5}}]})"},
       {"c", R"({"state":"APPLIED"})"}},
      {{"10.0.0.7", 12}});
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(AgentCells(rows[0]),
            (std::vector<std::string>{"a", "live", "h", "10.0.0.7", "0.1.0", "PARTIAL", "12", "9",
                                      "1", "1.0 kB", "5 B"}));
  EXPECT_EQ(AgentCells(rows[1])[5], "UNKNOWN");
  EXPECT_EQ(AgentCells(rows[2])[1], "dead");
}

}  // namespace
}  // namespace store::ctl
