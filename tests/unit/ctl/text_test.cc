// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/go_text.h"
#include "store/ctl/kv_commands.h"
#include "store/ctl/txn_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace store::ctl {
namespace {

using etcdserverpb::Compare;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(GoTextTest, QuotedEscapesWhatCannotBeSeen) {
  EXPECT_EQ(Quoted("a\"b\\c\n\t"), R"("a\"b\\c\n\t")");
  EXPECT_EQ(Quoted(std::string("\0\x7f", 2)), R"("\x00\x7f")");
  EXPECT_EQ(Quoted("\xff\xc3"), R"("\xff\xc3")");
  EXPECT_EQ(Quoted("é中🙂"), "\"é中🙂\"");
  EXPECT_EQ(Quoted("\u00a0\u200b"), R"("\u00a0\u200b")");
}

TEST(GoTextTest, UnquotedReadsBackWhatQuotedWrote) {
  for (std::string text : {"", "plain", "a\"b\\c\n", "\x01\xff", "é中🙂"}) {
    std::string quoted = Quoted(text);
    size_t length = 0;
    auto back = Unquoted(quoted + " rest", &length);
    ASSERT_TRUE(back) << quoted;
    EXPECT_EQ(*back, text);
    EXPECT_EQ(length, quoted.size());
  }
}

TEST(GoTextTest, UnquotedRefusesBrokenLiterals) {
  size_t length = 0;
  for (std::string text : {"", "a", "\"a", "\"\\q\"", "\"\\x1\"", "\"\\400\"", "\"\\"}) {
    EXPECT_FALSE(Unquoted(text, &length)) << text;
  }
}

TEST(GoTextTest, JsonTextEscapesAsGoDoes) {
  EXPECT_EQ(JsonText("<a&b>\"\\\n\x01é\xff"),
            "\"\\u003ca\\u0026b\\u003e\\\"\\\\\\n\\u0001é\\ufffd\"");
}

TEST(GoTextTest, DurationsAreReadAndWritten) {
  EXPECT_EQ(DurationText(Duration(0)), "0s");
  EXPECT_EQ(DurationText(Duration(1500)), "1.5µs");
  EXPECT_EQ(DurationText(Duration(2210479)), "2.210479ms");
  EXPECT_EQ(DurationText(seconds(90)), "1m30s");
  EXPECT_EQ(DurationText(seconds(3600)), "1h0m0s");
  EXPECT_EQ(DurationText(milliseconds(1000)), "1s");
  EXPECT_EQ(ParseDurationText("1m30.5s").value(), milliseconds(90500));
  EXPECT_EQ(ParseDurationText("500ms").value(), milliseconds(500));
  EXPECT_EQ(ParseDurationText("-2s").value(), -seconds(2));
  for (std::string text : {"", "5", "s", "1.2.3s", "1x", "5s5"}) {
    EXPECT_FALSE(ParseDurationText(text)) << text;
  }
}

TEST(GoTextTest, SizesHaveDecimalUnits) {
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(999), "999 B");
  EXPECT_EQ(SizeText(20480), "20 kB");
  EXPECT_EQ(SizeText(1'250'000), "1.3 MB");
  EXPECT_EQ(SizeText(2'147'483'648), "2.1 GB");
}

TEST(GoTextTest, NumbersKeepTheirLimits) {
  EXPECT_EQ(ParseInt("9223372036854775807", 10).value(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(ParseInt("-8000000000000000", 16).value(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(ParseInt("0b101", 0).value(), 5);
  EXPECT_EQ(ParseInt("010", 0).value(), 8);
  EXPECT_EQ(ParseInt("9223372036854775808", 10).error().message(),
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range");
  EXPECT_EQ(ParseInt("", 10).error().message(), "strconv.ParseInt: parsing \"\": invalid syntax");
}

TEST(GoTextTest, TableCentresTheHeaderAndPutsCellsRight) {
  EXPECT_EQ(Table({"ENDPOINT", "OK"}, {{"127.0.0.1:23790", "1"}}),
            "+-----------------+----+\n"
            "|    ENDPOINT     | OK |\n"
            "+-----------------+----+\n"
            "| 127.0.0.1:23790 |  1 |\n"
            "+-----------------+----+\n");
  EXPECT_EQ(Table({"A"}, {}), "+---+\n| A |\n+---+\n");
}

TEST(TxnTextTest, WordsAreSplitAsAShellDoes) {
  EXPECT_EQ(SplitWords(R"(  put "a b" 'c "d"' e\f --lease=1 )"),
            (std::vector<std::string>{"put", "a b", "c \"d\"", "e\\f", "--lease=1"}));
  EXPECT_EQ(SplitWords(R"(put k "1\n2")"), (std::vector<std::string>{"put", "k", "1\n2"}));
  EXPECT_EQ(SplitWords("put k \"open"), (std::vector<std::string>{"put", "k", "\"open"}));
}

TEST(TxnTextTest, ComparesNameTargetKeyOperatorAndValue) {
  auto compare = ParseCompare(R"(mod("a b") > "7")");
  ASSERT_TRUE(compare);
  EXPECT_EQ(compare->key(), "a b");
  EXPECT_EQ(compare->target(), Compare::MOD);
  EXPECT_EQ(compare->result(), Compare::GREATER);
  EXPECT_EQ(compare->mod_revision(), 7);
  EXPECT_EQ(ParseCompare(R"(val("k") != "x")")->value(), "x");
  EXPECT_EQ(ParseCompare(R"(lease("k") = "1f")")->lease(), 31);
  EXPECT_EQ(ParseCompare(R"(ver("k") < "2")")->version(), 2);
  EXPECT_EQ(ParseCompare(R"(c("k") = "0")")->create_revision(), 0);
}

TEST(TxnTextTest, RefusedComparesReadLikeEtcdctls) {
  auto text = [](std::string_view line) { return ParseCompare(line).error().message(); };
  EXPECT_EQ(text("nothing"), "malformed comparison: nothing");
  EXPECT_EQ(text(R"(foo("a") = "77")"),
            R"(malformed comparison: foo("a") = "77" (unknown target foo))");
  EXPECT_EQ(text(R"(ver("a") = "zz")"), R"(invalid txn compare request: ver("a") = "zz")");
  EXPECT_EQ(text(R"(ver(a) = "1")"), R"(malformed comparison: ver(a) = "1"; got ver("")  "")");
  EXPECT_EQ(text(R"(ver("a") >= "1")"),
            R"(malformed comparison: ver("a") >= "1" (unknown operator >=))");
}

TEST(TxnTextTest, RequestsAreTheCommandsThemselves) {
  auto get = ParseRequest("get --prefix a --limit 3");
  ASSERT_TRUE(get);
  EXPECT_EQ(get->request_range().range_end(), "b");
  EXPECT_EQ(get->request_range().limit(), 3);
  auto put = ParseRequest(R"(put k "a\nb" --lease=a --prev-kv)");
  ASSERT_TRUE(put);
  EXPECT_EQ(put->request_put().value(), "a\nb");
  EXPECT_EQ(put->request_put().lease(), 10);
  EXPECT_TRUE(put->request_put().prev_kv());
  auto del = ParseRequest("del a --from-key");
  ASSERT_TRUE(del);
  EXPECT_EQ(del->request_delete_range().range_end(), std::string(1, '\0'));
  EXPECT_EQ(ParseRequest("what a").error().message(), "invalid txn request: what a");
  EXPECT_EQ(ParseRequest("put a").error().message(),
            "put command needs 1 argument and input from stdin or 2 arguments");
}

TEST(KeyRangeTest, AnEmptyKeyMeansEverything) {
  const std::string zero(1, '\0');
  KeyRange all = MakeKeyRange("", "", /*prefix=*/true, /*from_key=*/false);
  EXPECT_EQ(all.key, zero);
  EXPECT_EQ(all.end, zero);
  EXPECT_EQ(MakeKeyRange("", "", false, true).key, zero);
  EXPECT_EQ(MakeKeyRange("a\xff", "", true, false).end, "b");
  EXPECT_EQ(MakeKeyRange("", "", false, false).key, "");
}

}  // namespace
}  // namespace store::ctl
