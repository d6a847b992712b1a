// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/command.h"

#include <gtest/gtest.h>

#include <sstream>

namespace store::ctl {
namespace {

constexpr FlagSpec kFlags[] = {{"limit", FlagKind::kInt, "0", "how many"}};

template <char kName>
int Show(Session& session, const ParsedFlags& flags) {
  session.out() << kName;
  for (const std::string& word : flags.positional()) session.out() << " " << word;
  return kExitOk;
}

constexpr Command kCommands[] = {
    {"get", "<key>", "", kFlags, Show<'g'>},
    {"lease list", "", "", {}, Show<'l'>},
    {"lease grant", "", "", {}, Show<'r'>},
    {"agent list", "", "", {}, Show<'a'>},
};

class CommandTest : public ::testing::Test {
 protected:
  int Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    return RunCommand(kCommands, arguments, {}, {.in = in_, .out = out_, .err = err_});
  }

  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandTest, WordsNameTheVerbAndTheRestAreArguments) {
  EXPECT_EQ(Run({"get", "get", "lease"}), kExitOk);
  EXPECT_EQ(out_.str(), "g get lease");
  EXPECT_EQ(Run({"--endpoints", "h:1", "lease", "-w", "json", "list"}), kExitOk);
  EXPECT_EQ(out_.str(), "l");
  EXPECT_EQ(Run({"get", "--", "-a"}), kExitOk);
  EXPECT_EQ(out_.str(), "g -a");
}

TEST_F(CommandTest, WordsMayBeShortened) {
  EXPECT_EQ(Run({"ge", "k"}), kExitOk);
  EXPECT_EQ(Run({"le", "l"}), kExitOk);
  EXPECT_EQ(out_.str(), "l");
}

TEST_F(CommandTest, WrongUseExitsWithTwo) {
  EXPECT_EQ(Run({"foo"}), kExitUsage);
  EXPECT_TRUE(err_.str().starts_with("Error: unknown command \"foo\" for \"sluicectl\"\n"));
  EXPECT_EQ(Run({"lease", "foo"}), kExitUsage);
  EXPECT_EQ(Run({"lease"}), kExitUsage);
  EXPECT_EQ(Run({}), kExitUsage);
  EXPECT_EQ(Run({"get", "--nope"}), kExitUsage);
  EXPECT_TRUE(err_.str().starts_with("Error: unknown flag: --nope\n"));
}

TEST_F(CommandTest, HelpIsNoError) {
  EXPECT_EQ(Run({"--help"}), kExitOk);
  EXPECT_NE(out_.str().find("lease grant"), std::string::npos);
  EXPECT_EQ(Run({"get", "-h"}), kExitOk);
  EXPECT_NE(out_.str().find("--limit"), std::string::npos);
  EXPECT_EQ(Run({"help", "get"}), kExitOk);
  EXPECT_EQ(Run({"lease", "--help"}), kExitOk);
  EXPECT_EQ(out_.str().find("agent list"), std::string::npos);
}

}  // namespace
}  // namespace store::ctl
