// SPDX-License-Identifier: Apache-2.0
#include "tests/check/history.h"

#include <gtest/gtest.h>

#include <sstream>

namespace store::check {
namespace {

History Sample() {
  History history;
  history.base = 3;
  Operation txn;
  txn.client = 7;
  txn.member = 2;
  txn.life = 1;
  txn.call = 10;
  txn.ret = 20;
  txn.outcome = Outcome::kOk;
  txn.txn.compares.push_back(
      {Target::kValue, Relation::kNotEqual, "k", std::string(1, '\0'), 0, "\xff\x80 \""});
  Step nested;
  nested.kind = StepKind::kTxn;
  nested.nested.push_back(One(Delete("a", "b")));
  txn.txn.success = {Put("k", std::string("v\0w", 3), 5), nested};
  txn.txn.failure = {Range("k", "l")};
  txn.txn.failure[0].limit = 2;
  txn.txn.failure[0].revision = 4;
  txn.txn.failure[0].keys_only = true;
  txn.revision = 4;
  txn.succeeded = false;
  txn.results = {{{{"k", "v", 1, 2, 3, 4}}, 5, true, false, {}}};
  Operation lost;
  lost.call = 11;
  lost.request = Request::kLeaseGrant;
  lost.lease = 9;
  lost.ttl = 60;
  history.operations = {txn, lost};
  history.commits = {{4, {{false, {"k", "v", 4, 4, 1, 5}}, {true, {"a", "", 0, 4, 0, 0}}}}};
  Watch watch;
  watch.id = 1;
  watch.key = "k";
  watch.prev_kv = true;
  watch.complete = true;
  watch.responses = {{12,
                      2,
                      1,
                      4,
                      false,
                      false,
                      true,
                      0,
                      {{history.commits[0].events[0], true, {"k", "u", 3, 3, 1, 0}}}}};
  history.watches = {watch};
  return history;
}

TEST(History, WhatWasWrittenIsRead) {
  std::stringstream file;
  Write(Sample(), file);
  const std::string text = file.str();

  const Result<History> history = Read(file);

  ASSERT_TRUE(history) << history.error().ToString();
  std::stringstream again;
  Write(*history, again);
  EXPECT_EQ(text, again.str());
  EXPECT_EQ(history->operations[0].txn.compares[0].value, "\xff\x80 \"");
  EXPECT_EQ(history->operations[0].txn.success[0].value.size(), 3U);
  EXPECT_EQ(history->operations[0].results, Sample().operations[0].results);
  EXPECT_EQ(history->operations[1].ret, kNever);
  EXPECT_EQ(history->commits[0].events, Sample().commits[0].events);
  EXPECT_EQ(history->watches[0].responses[0].events[0].prev.value, "u");
  EXPECT_TRUE(history->watches[0].complete);
}

TEST(History, ABadLineIsNamed) {
  for (
      const char* line :
      {"{", R"({"record":"op"})", R"({"record":"what"})",
       R"({"record":"op","call":1,"outcome":"perhaps","request":"compact"})",
       R"({"record":"op","call":1,"outcome":"ok","request":"compact"})",
       R"({"record":"op","call":1,"outcome":"unknown","request":"txn"})",
       R"({"record":"commit","rev":2,"events":[{"k":"\u1234"}]})",
       R"({"record":"watch_response","id":3,"at":1})",
       R"({"record":"op","call":1,"outcome":"unknown","request":"txn","txn":{"then":[{"do":"txn"}]}})"}) {
    std::stringstream file(std::string("{\"record\":\"base\",\"rev\":1}\n") + line + "\n");
    const Result<History> history = Read(file);
    ASSERT_FALSE(history) << line;
    EXPECT_EQ(history.error().code(), ErrorCode::kCorruption);
    EXPECT_TRUE(history.error().message().starts_with("line 2: ")) << history.error().message();
  }
}

}  // namespace
}  // namespace store::check
