// SPDX-License-Identifier: Apache-2.0
// The checker is checked: correct histories pass, each kind of damage is reported, and where a
// search for an order can be made at all it comes to the same verdict.
#include "tests/check/revision_order.h"

#include "store/base/random.h"
#include "tests/check/made_history.h"
#include "tests/check/model.h"
#include "tests/check/revision_order_damages.h"
#include "tests/check/wing_gong.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace store::check {
namespace {

constexpr uint64_t kSeeds = 40;

std::string Text(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += fmt::format("  {}: {}\n", problem.rule, problem.text);
  }
  return text;
}

TEST(RevisionOrder, CorrectHistoriesPass) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    MadeOptions options;
    options.seed = seed;
    const MadeHistory made = MakeHistory(options);
    const std::vector<Problem> problems = CheckRevisionOrder(made.history);
    ASSERT_TRUE(problems.empty()) << "seed " << seed << "\n" << Text(problems);
  }
}

// By hand with SLUICE_CHECK_OPERATIONS=1000000.
TEST(RevisionOrder, ALargeHistoryIsJudgedWithoutASearch) {
  const char* wanted = std::getenv("SLUICE_CHECK_OPERATIONS");
  MadeOptions options;
  options.operations = wanted == nullptr ? 20'000 : std::atoi(wanted);
  options.clients = 64;
  options.keys = 50;
  options.leases = false;
  const MadeHistory made = MakeHistory(options);
  const std::vector<Problem> problems = CheckRevisionOrder(made.history);
  EXPECT_TRUE(problems.empty()) << Text(problems);
}

void ExpectAllReported(const Damages& damages) {
  for (const auto& [name, damage] : damages) {
    int done = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      MadeOptions options;
      options.seed = seed;
      MadeHistory made = MakeHistory(options);
      Damaged damaged{std::move(made.history), std::move(made.committed), Random(seed)};
      if (!damage(damaged)) {
        continue;
      }
      ++done;
      EXPECT_FALSE(CheckRevisionOrder(damaged.history).empty()) << name << ", seed " << seed;
    }
    EXPECT_GE(done, 5) << name << " was hardly ever planted";
  }
}

TEST(RevisionOrder, EveryDamageOfAnAnswerIsReported) { ExpectAllReported(DamagesOfAnAnswer()); }
TEST(RevisionOrder, EveryDamageOfTheHistoryIsReported) { ExpectAllReported(DamagesOfTheHistory()); }

TEST(RevisionOrder, AreAtLeastFiftyKindsOfDamage) {
  EXPECT_GE(DamagesOfAnAnswer().size() + DamagesOfTheHistory().size(), 50U);
}

// Moves operations in time and to other answers, without looking whether that is still legal.
void Shake(History* history, Random* random) {
  const uint64_t changes = random->Below(4);
  for (uint64_t i = 0; i < changes; ++i) {
    Operation& operation = history->operations[random->Below(history->operations.size() - 1)];
    const auto by = static_cast<Time>(random->Between(1, 30)) - 15;
    operation.call += by;
    if (operation.ret != kNever) {
      operation.ret = std::max(operation.ret + by, operation.call);
    }
    if (random->Chance(0.2)) {
      operation.revision += random->Chance(0.5) ? 1 : -1;
    }
    Operation& other = history->operations[random->Below(history->operations.size() - 1)];
    if (random->Chance(0.2)) {
      std::swap(operation.results, other.results);
    }
    if (random->Chance(0.1)) {
      operation.outcome = Outcome::kUnknown;
      operation.ret = kNever;
    }
  }
}

TEST(RevisionOrder, SaysWhatASearchSays) {
  int legal = 0, illegal = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    MadeOptions options;
    options.seed = seed;
    options.operations = 30;
    options.keys = 3;
    options.leases = options.watches = options.members = false;
    History history = MakeHistory(options).history;
    Random random(seed);
    Shake(&history, &random);

    WingGongOptions search;
    search.commits = &history.commits;
    const WingGongResult result = WingGong(history.operations, State(), search);
    const std::vector<Problem> problems = CheckRevisionOrder(history);

    ASSERT_NE(result.verdict, Verdict::kUnknown) << "seed " << seed << ": " << result.text;
    ASSERT_EQ(result.verdict == Verdict::kLinearizable, problems.empty())
        << "seed " << seed << ": " << result.text << "\n"
        << Text(problems);
    (problems.empty() ? legal : illegal) += 1;
    if (problems.empty()) {
      // Without knowing the history the search finds an order as well.
      EXPECT_EQ(WingGong(history.operations, State()).verdict, Verdict::kLinearizable);
    }
  }
  EXPECT_GT(legal, 500);
  EXPECT_GT(illegal, 500);
}

}  // namespace
}  // namespace store::check
