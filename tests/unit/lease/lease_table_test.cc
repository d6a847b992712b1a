// SPDX-License-Identifier: Apache-2.0
#include "store/lease/lease_table.h"

#include <gtest/gtest.h>

namespace store::lease {
namespace {

TEST(LeaseTable, GrantRefusesAnIdInUse) {
  LeaseTable table;
  EXPECT_TRUE(table.Grant(LeaseId(7), 10));
  EXPECT_FALSE(table.Grant(LeaseId(7), 99));
  EXPECT_EQ(table.Find(LeaseId(7))->ttl_seconds, 10);
}

TEST(LeaseTable, NegativeIdsAreLeases) {
  LeaseTable table;
  EXPECT_TRUE(table.Grant(LeaseId(-3), 10));
  EXPECT_TRUE(table.Contains(LeaseId(-3)));
}

TEST(LeaseTable, RevokeReturnsKeysAscending) {
  LeaseTable table;
  table.Grant(LeaseId(1), 5);
  table.Attach(LeaseId(1), "b");
  table.Attach(LeaseId(1), "a");
  table.Attach(LeaseId(1), "b");
  EXPECT_EQ(table.key_count(), 2u);
  EXPECT_EQ(table.Revoke(LeaseId(1)), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(table.key_count(), 0u);
  EXPECT_EQ(table.Revoke(LeaseId(1)), std::nullopt);
}

TEST(LeaseTable, DetachOfARevokedLeaseIsNothing) {
  LeaseTable table;
  table.Grant(LeaseId(1), 5);
  table.Attach(LeaseId(1), "a");
  table.Detach(LeaseId(1), "a");
  EXPECT_TRUE(table.Find(LeaseId(1))->keys.empty());
  table.Detach(LeaseId(2), "a");
  table.Detach(LeaseId(0), "a");
  EXPECT_EQ(table.key_count(), 0u);
}

}  // namespace
}  // namespace store::lease
