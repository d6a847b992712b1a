// SPDX-License-Identifier: Apache-2.0
#include "store/apply/quota.h"

#include "tests/unit/apply/machine.h"

namespace store::apply {
namespace {

using etcdserverpb::AlarmRequest;

void AddPut(etcdserverpb::RequestOp* op, std::string_view key, std::string_view value) {
  *op->mutable_request_put() = PutOf(key, value).put();
}

TEST(QuotaTest, CostsAreEtcds) {
  EXPECT_EQ(CostOf(PutOf("key", "value")), 256 + 3 + 5);
  EXPECT_EQ(CostOf(GrantOf(1, 1)), 64);
  EXPECT_EQ(CostOf(DeleteOf("k")), 0);
  EXPECT_EQ(CostOf(CompactOf(1)), 0);
}

TEST(QuotaTest, ATxnCostsItsDearerBranchNestedIncluded) {
  Command command;
  AddPut(command.mutable_txn()->add_success(), "a", "b");
  AddPut(command.mutable_txn()->add_failure()->mutable_request_txn()->add_success(), "a", "b");
  AddPut(command.mutable_txn()->add_failure(), "c", "");
  EXPECT_EQ(CostOf(command), 258 + 257);
}

TEST(QuotaTest, FitsBelowTheLimitOnly) {
  EXPECT_TRUE(FitsQuota(1000, 700, 299));
  EXPECT_FALSE(FitsQuota(1000, 700, 300));
  EXPECT_TRUE(FitsQuota(1000, 5000, 0)) << "what costs nothing is never refused";
  EXPECT_TRUE(FitsQuota(0, 5000, 300));
  EXPECT_TRUE(FitsQuota(-1, 5000, 300));
}

TEST(QuotaTest, AWriteBeyondIsAppliedAndAnsweredWithNoSpace) {
  ApplyLimits limits;
  limits.quota_bytes = 600;
  Machine machine(limits);
  EXPECT_EQ(machine.Do(PutOf("a", std::string(300, 'x'))).error, ErrorCode::kOk);
  Command put = PutOf("b", "y");
  put.mutable_put()->set_prev_kv(true);
  CallResult result = machine.Do(put);
  EXPECT_EQ(result.error, ErrorCode::kSpaceExceeded);
  EXPECT_TRUE(result.raise_no_space);
  EXPECT_EQ(result.response, nullptr);
  EXPECT_TRUE(machine.state().Read().view().Lookup("b")) << "it was committed, so it counts";

  // From the alarm on it is refused without effect, and asks for no second alarm.
  machine.Do(AlarmOf(AlarmRequest::ACTIVATE, kSelf, etcdserverpb::NOSPACE));
  CallResult refused = machine.Do(PutOf("c", "z"));
  EXPECT_EQ(refused.error, ErrorCode::kSpaceExceeded);
  EXPECT_FALSE(refused.raise_no_space);
  EXPECT_FALSE(machine.state().Read().view().Lookup("c"));
}

TEST(QuotaTest, AnotherErrorComesBeforeNoSpace) {
  ApplyLimits limits;
  limits.quota_bytes = 1;
  Machine machine(limits);
  CallResult result = machine.Do(PutOf("k", "v", 404));
  EXPECT_EQ(result.error, ErrorCode::kLeaseNotFound);
  EXPECT_FALSE(result.raise_no_space);
}

// Also those of before a restart; a revoke makes room again.
TEST(QuotaTest, LeasesCount) {
  ApplyLimits limits;
  limits.quota_bytes = 650;
  Machine machine(limits);
  for (int64_t id = 1; id <= 9; ++id) {
    EXPECT_EQ(machine.Do(GrantOf(id, 60)).error, ErrorCode::kOk) << id;
  }
  EXPECT_EQ(machine.state().Read()->logical_bytes, 9 * 64U);
  EXPECT_EQ(machine.Do(GrantOf(10, 60)).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Do(GrantOf(11, 60)).error, ErrorCode::kSpaceExceeded);
  machine.Do(RevokeOf(3));
  EXPECT_EQ(machine.state().Read()->logical_bytes, 10 * 64U);
}

TEST(QuotaTest, CountsWhatTheBatchItselfHasWritten) {
  ApplyLimits limits;
  limits.quota_bytes = 700;
  Machine machine(limits);
  std::vector<raft::EntryPtr> log;
  for (uint64_t i = 1; i <= 4; ++i) {
    log.push_back(
        MakeEntry(i, machine.make()(PutOf("k" + std::to_string(i), std::string(200, 'x')))));
  }
  std::vector<std::string> results = machine.Feed(log);
  EXPECT_EQ(machine.batches(), 1U);
  ASSERT_EQ(results.size(), 4U);
  EXPECT_NE(results[0].find(" ok "), std::string::npos) << results[0];
  EXPECT_NE(results[3].find(" space_exceeded "), std::string::npos) << results[3];
}

TEST(QuotaTest, AFullKeyIndexIsNoSpaceToo) {
  ApplyLimits limits;
  limits.index_memory_max = 1;
  Machine machine(limits);
  machine.Do(PutOf("a", "x"));
  CallResult result = machine.Do(PutOf("b", "x"));
  EXPECT_EQ(result.error, ErrorCode::kSpaceExceeded);
  EXPECT_TRUE(result.raise_no_space);
  EXPECT_EQ(machine.Do(DeleteOf("a")).error, ErrorCode::kOk);
}

}  // namespace
}  // namespace store::apply
