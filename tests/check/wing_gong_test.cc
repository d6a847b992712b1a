// SPDX-License-Identifier: Apache-2.0
// The search alone: what its bounds do, and damage it must find (its verdicts on many histories are
// compared in revision_order_test.cc).
#include "tests/check/wing_gong.h"

#include "store/base/random.h"
#include "tests/check/made_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace store::check {
namespace {

Operation Answered(Step step, Time call, Time ret, Revision revision, StepResult result = {}) {
  Operation operation;
  operation.txn = One(std::move(step));
  operation.call = call;
  operation.ret = ret;
  operation.outcome = Outcome::kOk;
  operation.revision = revision;
  operation.results = {std::move(result)};
  return operation;
}

StepResult Shows(const std::string& value, Revision create, Revision mod, int64_t version) {
  return {{{"a", value, create, mod, version, 0}}, 1, false, false, {}};
}

// Two writes that overlap, and two reads that order them.
std::vector<Operation> Story() {
  return {Answered(Put("a", "x"), 0, 50, 2), Answered(Put("a", "y"), 10, 60, 3),
          Answered(Range("a"), 20, 30, 2, Shows("x", 2, 2, 1)),
          Answered(Range("a"), 70, 80, 3, Shows("y", 2, 3, 2))};
}

TEST(WingGong, FindsAnOrder) {
  const WingGongResult result = WingGong(Story(), State());
  EXPECT_EQ(result.verdict, Verdict::kLinearizable) << result.text;
  EXPECT_EQ(result.last.revision, 3);
  EXPECT_EQ(result.last.keys.at("a").value, "y");
}

TEST(WingGong, WhatGotNoAnswerMayHaveHappenedOrNot) {
  std::vector<Operation> operations = Story();
  operations[1].outcome = Outcome::kUnknown;
  operations[1].ret = kNever;
  EXPECT_EQ(WingGong(operations, State()).verdict, Verdict::kLinearizable);
  operations.pop_back();
  EXPECT_EQ(WingGong(operations, State()).verdict, Verdict::kLinearizable);
}

using Damage = void (*)(std::vector<Operation>&);

const std::vector<Damage> kDamages = {
    [](auto& o) { o[2].results = {Shows("y", 2, 2, 1)}; },
    [](auto& o) { o[2].results[0].kvs.clear(); },
    [](auto& o) { o[2].results[0].count = 2; },
    [](auto& o) { o[2].results[0].more = true; },
    [](auto& o) { o[2].results.clear(); },
    [](auto& o) { o[3].results = {Shows("y", 3, 3, 1)}; },
    [](auto& o) { o[3].results = {Shows("y", 2, 3, 1)}; },
    [](auto& o) { o[3].results = {Shows("x", 2, 2, 1)}; },
    [](auto& o) { o[3].results[0].kvs[0].lease = 4; },
    [](auto& o) { o[3].revision = 4; },
    [](auto& o) { o[3].revision = 2; },
    [](auto& o) { o[2].revision = 3; },
    [](auto& o) { std::swap(o[0].revision, o[1].revision); },
    [](auto& o) { o[0].revision = 3; },
    [](auto& o) { o[0].succeeded = false; },
    [](auto& o) { std::swap(o[2].results, o[3].results); },
    [](auto& o) { o[2].call = 65, o[2].ret = 66; },    // the old value after both returned
    [](auto& o) { o[3].call = 5, o[3].ret = 6; },      // the new value before its call
    [](auto& o) { o[0].call = 61, o[0].ret = 62; },    // the second write returned before
    [](auto& o) { o[1].call = -5, o[1].ret = -1; },    // and the first called after
    [](auto& o) { o.erase(o.begin()); },               // whose write was that
    [](auto& o) { o[0].outcome = Outcome::kFailed; },  // it was refused
    [](auto& o) { o.push_back(o[1]); },
    [](auto& o) { o.push_back(Answered(Delete("a"), 90, 95, 3, {{}, 1, false, false, {}})); },
    [](auto& o) { o.push_back(Answered(Delete("a"), 90, 95, 4, {{}, 0, false, false, {}})); },
};

TEST(WingGong, EveryDamageIsReported) {
  size_t number = 0;
  for (const Damage& damage : kDamages) {
    std::vector<Operation> operations = Story();
    damage(operations);
    const WingGongResult result = WingGong(operations, State());
    EXPECT_EQ(result.verdict, Verdict::kNotLinearizable) << "damage " << number;
    ++number;
  }
  EXPECT_GE(number, 20U);
}

TEST(WingGong, GivesUpAtItsBounds) {
  WingGongOptions options;
  options.operations_max = 3;
  EXPECT_EQ(WingGong(Story(), State(), options).verdict, Verdict::kUnknown);
  options = WingGongOptions();
  options.steps_max = 2;
  EXPECT_EQ(WingGong(Story(), State(), options).verdict, Verdict::kUnknown);
}

TEST(WingGong, AWindowOfTwoThousandIsSearched) {
  MadeOptions made;
  made.operations = 2000;
  made.leases = made.watches = made.members = made.lost = false;
  const History history = MakeHistory(made).history;
  const WingGongResult result = WingGong(history.operations, State());
  EXPECT_EQ(result.verdict, Verdict::kLinearizable) << result.text;
}

}  // namespace
}  // namespace store::check
