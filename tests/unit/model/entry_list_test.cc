// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/entry_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace logagent {
namespace {

// One line for each entry: path -> topic.
std::string Shown(const EntryList& list) {
  std::string out;
  for (const EntryConfig& entry : list.entries) out += entry.path + " -> " + entry.topic + "\n";
  return out;
}

struct Accepted {
  std::string json;
  std::string shown;
  size_t warnings = 0;
};

class AcceptedTest : public ::testing::TestWithParam<Accepted> {};

TEST_P(AcceptedTest, ReadsAsTheCourseDoes) {
  auto list = ParseEntryList(GetParam().json);
  ASSERT_TRUE(list) << list.error().ToString();
  EXPECT_EQ(Shown(*list), GetParam().shown);
  EXPECT_EQ(list->warnings.size(), GetParam().warnings);
}

INSTANTIATE_TEST_SUITE_P(
    Lenient, AcceptedTest,
    ::testing::Values(
        Accepted{R"([{"path":"/a","topic":"t"}])", "/a -> t\n"}, Accepted{"null", ""},
        Accepted{"[]", ""}, Accepted{" \n[ ]\n ", ""},
        Accepted{R"([{"Path":"/a","TOPIC":"t"}])", "/a -> t\n"},
        Accepted{R"([{"path":"/x","path":"/a","topic":"t"}])", "/a -> t\n"},
        Accepted{R"([{"path":"/x","PATH":"/a","topic":"t"}])", "/a -> t\n"},
        Accepted{"[\n {\"path\" : \"/a\" ,\r\n\t\"topic\":\"t\"}\n]\n", "/a -> t\n"},
        Accepted{R"([{"log_path":"/a","topic":"t"}])", "/a -> t\n"},
        Accepted{R"([{"logpath":"/a","topic":"t"}])", "/a -> t\n"},
        Accepted{R"([{"logpath":"/b","path":"/a","topic":"t"}])", "/a -> t\n", 1},
        Accepted{R"([{"path":"/a","module":"m","service":"s","topic":"t"}])", "/a -> t\n"},
        Accepted{R"([{"path":"/a","topic":"t","send_rate":5,"x":{"y":[1,2.5e-3,null]}}])",
                 "/a -> t\n", 2},
        Accepted{R"([{"path":"./test/redis.log","topic":"t"}])", "./test/redis.log -> t\n", 1},
        Accepted{R"([{"path":"c:\\tmp\\nginx.log","topic":"t"}])", "c:\\tmp\\nginx.log -> t\n", 1},
        Accepted{R"([{"path":"/\u65e5\u5fd7/\ud83d\ude00.log","topic":"t"}])",
                 "/日志/😀.log -> t\n"},
        Accepted{R"([{"path":"/\ud800x","topic":"t"}])", "/\xef\xbf\xbdx -> t\n"},
        Accepted{"[{\"path\":\"/\xff\",\"topic\":\"t\"}]", "/\xef\xbf\xbd -> t\n"},
        Accepted{R"([{"path":"/a","topic":"t"},{"path":"/a","topic":"u"}])", "/a -> t\n/a -> u\n"},
        Accepted{R"([{"path":"/a","topic":"t"},{"path":"/a","topic":"t"}])", "/a -> t\n", 1},
        Accepted{R"([{"path":"/a_b","topic":"c"},{"path":"/a","topic":"b_c"}])",
                 "/a_b -> c\n/a -> b_c\n"},
        Accepted{R"([{"path":"/var/log/*.log","topic":"t"}])", "/var/log/*.log -> t\n"},
        Accepted{R"([{"path":"/a","topic":"t","module":null}])", "/a -> t\n"}));

struct RefusedCase {
  std::string json;
  std::string message;  // its beginning
};

class RefusedTest : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(RefusedTest, SaysWhereAndWhy) {
  auto list = ParseEntryList(GetParam().json);
  ASSERT_FALSE(list) << Shown(*list);
  EXPECT_EQ(list.error().code(), store::ErrorCode::kInvalidArgument);
  EXPECT_THAT(list.error().message(), ::testing::StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    WithPosition, RefusedTest,
    ::testing::Values(
        RefusedCase{"", "1:1: the text is empty"}, RefusedCase{"  \n ", "2:2: the text is empty"},
        RefusedCase{"[] x", "1:4: \"x\" after the end of the JSON value"},
        RefusedCase{"[]\n[]", "2:1: \"[\" after the end of the JSON value"},
        RefusedCase{"\xef\xbb\xbf[]", "1:1: a byte order mark"},
        RefusedCase{"[] // mine", "1:4: a comment after the end"},
        RefusedCase{"[\n# mine\n]", "2:1: a comment where a value should begin"},
        RefusedCase{R"({"path":"/a","topic":"t"})",
                    "1:1: the list must be an array of objects, "
                    "this is an object"},
        RefusedCase{R"("text")", "1:1: the list must be an array"},
        RefusedCase{R"([{"path":"/a","topic":"t"},])", "1:28: \"]\" where a value should begin"},
        RefusedCase{R"([{"path":"/a","topic":"t",}])", "1:27: \"}\" where a name should begin"},
        RefusedCase{R"([{"path":"/a" "topic":"t"}])", "1:15: \"\\\"\" where , or } should be"},
        RefusedCase{R"([{"path":"/a","topic":"t"})", "1:27: the text ends where , or ] should be"},
        RefusedCase{R"([{path:"/a"}])", "1:3: \"p\" where a name should begin"},
        RefusedCase{R"([{'path':"/a"}])", "1:3: \"'\" where a name should begin"},
        RefusedCase{R"(["/a"])", "1:2: an entry must be an object, this is a string"},
        RefusedCase{"[\n  {\"path\":\"/a\",\"topic\":7}]",
                    "2:24: \"topic\" must be a string, this is a number"},
        RefusedCase{R"([{"path":["/a"],"topic":"t"}])", "1:10: \"path\" must be a string"},
        RefusedCase{R"([{"topic":"t"}])", "1:2: the entry has no path"},
        RefusedCase{"[{\"path\":\"/a\",\"topic\":\"t\"},\n{\"path\":\"/b\"}]",
                    "2:1: the entry has no topic"},
        RefusedCase{"[null]", "1:2: an entry must be an object, this is null"},
        RefusedCase{R"([{"path":"/a","topic":"a b"}])", "1:2: the topic \"a b\" may only have"},
        RefusedCase{R"([{"path":"/a","topic":".."}])", "1:2: the topic cannot be"},
        RefusedCase{R"([{"path":"/a[0-9","topic":"t"}])", "1:2: the glob \"/a[0-9\" has a ["},
        RefusedCase{R"([{"path":"/a\u0000b","topic":"t"}])", "1:2: the path contains a NUL"},
        RefusedCase{R"([{"path":"/**","topic":"t"}])", "1:2: the glob \"/**\" matches every"},
        RefusedCase{R"([{"path":"/var/log/","topic":"t"}])", "1:2: the path \"/var/log/\" is a"},
        RefusedCase{"[{\"path\":\"/a\nb\"}]", "1:13: a control character inside a string"},
        RefusedCase{R"([{"path":"\x"}])", "1:12: \"x\" after a backslash"},
        RefusedCase{R"([{"path":"\u12g4"}])", "1:12: \\u needs four"},
        RefusedCase{R"([{"path":"/a)", "1:13: the text ends inside a string"},
        RefusedCase{"[01]", "1:3: \"1\" where , or ] should be"},
        RefusedCase{"[-]", "1:3: \"]\" inside a number"},
        RefusedCase{"[nul]", "1:2: \"n\" where a value should begin"},
        RefusedCase{std::string(200, '['), "1:102: the value is nested too deeply"}));

TEST(EntryListTest, WhatIsFormattedReadsBackTheSame) {
  std::vector<EntryConfig> entries(2);
  entries[0] = {.path = "/a \"quoted\"\t\n日志", .topic = "t-1", .strip_cr = true, .module = "m"};
  entries[1] = {.path = "/var/log/*.log", .topic = "u.2", .service = "s"};
  auto list = ParseEntryList(FormatEntryList(entries));
  ASSERT_TRUE(list) << list.error().ToString();
  EXPECT_EQ(list->entries, entries);
  EXPECT_TRUE(list->warnings.empty());
  EXPECT_TRUE(ParseEntryList(FormatEntryList({}))->entries.empty());
}

TEST(EntryListTest, RefusesATextThatIsTooLong) {
  EXPECT_FALSE(ParseEntryList(std::string(kEntryListBytesMax + 1, ' ')));
}

}  // namespace
}  // namespace logagent
