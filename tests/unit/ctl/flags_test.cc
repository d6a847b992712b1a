// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/flags.h"

#include "store/ctl/options.h"

#include <gtest/gtest.h>

#include <array>

namespace store::ctl {
namespace {

constexpr auto kSpec = std::to_array<FlagSpec>({
    {"prefix", FlagKind::kBool, "false"},
    {"limit", FlagKind::kInt, "0"},
    {"order", FlagKind::kText, ""},
    {"endpoints", FlagKind::kList, "a:1"},
    {"write-out", FlagKind::kText, "simple", "", 'w'},
    {"interactive", FlagKind::kBool, "false", "", 'i'},
    {"wait", FlagKind::kDuration, "5s"},
});

Result<ParsedFlags> Parse(const std::vector<std::string>& arguments) {
  return ParsedFlags::Parse(kSpec, arguments);
}

std::string Refusal(const std::vector<std::string>& arguments) {
  auto parsed = Parse(arguments);
  return parsed ? "accepted" : parsed.error().message();
}

TEST(FlagsTest, DefaultsHoldUntilAFlagIsGiven) {
  auto flags = Parse({"key"});
  ASSERT_TRUE(flags);
  EXPECT_FALSE(flags->Bool("prefix"));
  EXPECT_EQ(flags->Text("write-out"), "simple");
  EXPECT_EQ(flags->Time("wait"), std::chrono::seconds(5));
  EXPECT_EQ(flags->List("endpoints"), std::vector<std::string>{"a:1"});
}

TEST(FlagsTest, FlagsAndArgumentsMayBeMixed) {
  auto flags = Parse({"a", "--prefix", "b", "--limit", "0x10", "-wjson", "--order=x=y"});
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->positional(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(flags->Bool("prefix"));
  EXPECT_EQ(flags->Int("limit"), 16);
  EXPECT_EQ(flags->Text("write-out"), "json");
  EXPECT_EQ(flags->Text("order"), "x=y");
}

TEST(FlagsTest, ArgumentsAreTakenAsTheyAre) {
  std::vector<std::string> values = {"[\"a\",\"b\"]", "{}", "get", "", "-", "a,b"};
  auto flags = Parse(values);
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->positional(), values);
}

TEST(FlagsTest, DashesEndTheFlags) {
  auto flags = Parse({"a", "--", "--prefix", "-b"});
  ASSERT_TRUE(flags);
  EXPECT_FALSE(flags->Bool("prefix"));
  EXPECT_EQ(flags->before_dashes(), 1U);
  EXPECT_EQ(flags->positional(), (std::vector<std::string>{"a", "--prefix", "-b"}));
}

TEST(FlagsTest, TheLastOfTwoCountsAndAListCollects) {
  auto flags = Parse({"--limit=1", "--limit=2", "--endpoints=b:1,c:1", "--endpoints", "d:1",
                      "--prefix", "--prefix=false"});
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->Int("limit"), 2);
  EXPECT_FALSE(flags->Bool("prefix"));
  EXPECT_EQ(flags->List("endpoints"), (std::vector<std::string>{"b:1", "c:1", "d:1"}));
}

TEST(FlagsTest, RefusalsReadLikeEtcdctls) {
  EXPECT_EQ(Refusal({"--nope"}), "unknown flag: --nope");
  EXPECT_EQ(Refusal({"-b"}), "unknown shorthand flag: 'b' in -b");
  EXPECT_EQ(Refusal({"--limit"}), "flag needs an argument: --limit");
  EXPECT_EQ(Refusal({"-w"}), "flag needs an argument: 'w' in -w");
  EXPECT_EQ(Refusal({"--limit=zz"}),
            "invalid argument \"zz\" for \"--limit\" flag: strconv.ParseInt: parsing \"zz\": "
            "invalid syntax");
  EXPECT_EQ(Refusal({"--prefix=zz"}),
            "invalid argument \"zz\" for \"--prefix\" flag: strconv.ParseBool: parsing \"zz\": "
            "invalid syntax");
  EXPECT_EQ(Refusal({"--wait=zz"}),
            "invalid argument \"zz\" for \"--wait\" flag: time: invalid duration \"zz\"");
}

class OptionsTest : public ::testing::Test {
 protected:
  Result<GlobalOptions> Read(const std::vector<std::string>& arguments,
                             const Environment& environment = {}) {
    auto flags = ParsedFlags::Parse(GlobalFlags(), arguments);
    if (!flags) return Fail(flags.error());
    RETURN_IF_ERROR(ApplyEnvironment(environment, &*flags,
                                     [this](const std::string& note) { notes_.push_back(note); }));
    return ReadGlobalOptions(*flags);
  }
  std::string Refused(const std::vector<std::string>& arguments,
                      const Environment& environment = {}) {
    auto options = Read(arguments, environment);
    return options ? "accepted" : options.error().message();
  }

  std::vector<std::string> notes_;
};

TEST_F(OptionsTest, VariablesStandForFlags) {
  auto options = Read({}, {"ETCDCTL_ENDPOINTS=h:1,i:2", "ETCDCTL_WRITE_OUT=json", "HOME=/",
                           "ETCDCTL_COMMAND_TIMEOUT=1m30s", "ETCDCTL_API=3", "ETCDCTL_USER=u:p:q"});
  ASSERT_TRUE(options) << options.error().message();
  EXPECT_EQ(options->client.endpoints, (std::vector<std::string>{"h:1", "i:2"}));
  EXPECT_EQ(options->format, OutputFormat::kJson);
  EXPECT_EQ(options->client.call_timeout, std::chrono::seconds(90));
  EXPECT_EQ(options->client.username, "u");
  EXPECT_EQ(options->client.password, "p:q");
  EXPECT_TRUE(notes_.empty());
}

TEST_F(OptionsTest, AVariableBesideItsFlagIsRefused) {
  EXPECT_EQ(Refused({"--endpoints=h:1"}, {"ETCDCTL_ENDPOINTS=h:1"}),
            "conflicting environment variable \"ETCDCTL_ENDPOINTS\" is shadowed by corresponding "
            "command-line flag (either unset environment variable or disable flag)");
}

TEST_F(OptionsTest, AnUnknownVariableIsANote) {
  ASSERT_TRUE(Read({}, {"ETCDCTL_LIMIT=1"}));
  EXPECT_EQ(notes_, std::vector<std::string>{"unrecognized environment variable ETCDCTL_LIMIT=1"});
}

TEST_F(OptionsTest, BadCombinationsAreRefused) {
  EXPECT_EQ(Refused({"-w", "xx"}), "unsupported output format");
  EXPECT_EQ(Refused({"--cert=x"}), "KeyFile and CertFile must both be present[key: , cert: x]");
  EXPECT_EQ(Refused({"--endpoints="}), "--endpoints: an endpoint is empty");
  EXPECT_EQ(Refused({"--command-timeout=0s"}), "--command-timeout must be longer than 0");
  EXPECT_EQ(Refused({"--discovery-srv=x"}), "--discovery-srv is not supported");
  EXPECT_NE(Refused({"--cacert=/nonexistent"}).find("/nonexistent"), std::string::npos);
}

}  // namespace
}  // namespace store::ctl
