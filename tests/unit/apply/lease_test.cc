// SPDX-License-Identifier: Apache-2.0
// Leases at apply: grant, attach, detach, revoke, checkpoint, and what of it survives.
#include "store/apply/apply_lease.h"
#include "tests/unit/apply/machine.h"

namespace store::apply {
namespace {

using etcdserverpb::LeaseGrantResponse;

std::vector<std::string> KeysOf(Machine& machine, int64_t lease) {
  const lease::Lease* found = machine.state().leases().Find(LeaseId(lease));
  if (found == nullptr) return {"no such lease"};
  return {found->keys.begin(), found->keys.end()};
}

using Strings = std::vector<std::string>;

TEST(LeaseGrantTest, AnswersIdAndTtlAndTellsTheClock) {
  Machine machine;
  CallResult result = machine.Do(GrantOf(-5, 60));
  EXPECT_EQ(As<LeaseGrantResponse>(result).id(), -5);
  EXPECT_EQ(As<LeaseGrantResponse>(result).ttl(), 60);
  EXPECT_EQ(result.revision, Revision(1)) << "a grant is no revision";
  ASSERT_EQ(machine.last().report.leases.size(), 1U);
  EXPECT_EQ(machine.last().report.leases[0].kind, LeaseChange::Kind::kGranted);
  EXPECT_EQ(machine.last().report.leases[0].ttl_seconds, 60);
}

TEST(LeaseGrantTest, RefusesWhatEtcdRefuses) {
  Machine machine;
  machine.Do(GrantOf(5, 60));
  EXPECT_EQ(machine.Do(GrantOf(5, 60)).error, ErrorCode::kLeaseExists);
  EXPECT_EQ(machine.Do(GrantOf(6, kLeaseTtlMax + 1)).error, ErrorCode::kLeaseTtlTooLarge);
  EXPECT_EQ(machine.Do(GrantOf(6, kLeaseTtlMax)).error, ErrorCode::kOk);
  EXPECT_TRUE(machine.state().leases().Contains(LeaseId(6)));
}

TEST(LeaseTest, AKeyMovesFromLeaseToLease) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  machine.Do(GrantOf(2, 60));
  machine.Do(PutOf("k", "v", 1));
  EXPECT_EQ(KeysOf(machine, 1), Strings{"k"});
  machine.Do(PutOf("k", "v", 2));
  EXPECT_EQ(KeysOf(machine, 1), Strings{});
  EXPECT_EQ(KeysOf(machine, 2), Strings{"k"});
  machine.Do(PutOf("k", "v"));
  EXPECT_EQ(KeysOf(machine, 2), Strings{});
}

TEST(LeaseTest, ADeleteDetachesAndDoesNotRevoke) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  machine.Do(PutOf("a", "v", 1));
  machine.Do(PutOf("b", "v", 1));
  machine.Do(DeleteOf("a"));
  EXPECT_EQ(KeysOf(machine, 1), Strings{"b"});
  EXPECT_EQ(machine.Do(RevokeOf(1)).revision, Revision(5));
}

TEST(LeaseRevokeTest, DeletesItsKeysSortedInOneRevision) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  for (std::string_view key : {"c", "a", "b"}) machine.Do(PutOf(key, "v", 1));
  machine.Do(PutOf("other", "v"));
  CallResult result = machine.Do(RevokeOf(1));
  EXPECT_EQ(result.error, ErrorCode::kOk);
  EXPECT_EQ(result.revision, Revision(6));
  EXPECT_EQ(machine.Keys(), "other=v@5/5/1/0");
  const auto& events = machine.last().events->events;
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].kv.key.view(), "a");
  EXPECT_EQ(events[2].kv.key.view(), "c");
  EXPECT_EQ(events[2].kv.mod, Revision(6));
  EXPECT_EQ(machine.last().report.leases[0].kind, LeaseChange::Kind::kRevoked);
}

TEST(LeaseRevokeTest, WithoutKeysIsNoRevisionAndUnknownIsAnError) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  EXPECT_EQ(machine.Do(RevokeOf(1)).revision, Revision(1));
  EXPECT_EQ(machine.Do(RevokeOf(1)).error, ErrorCode::kLeaseNotFound);
}

TEST(LeaseRevokeTest, ExpiryOfManyIsOneRevisionPerLeaseWithKeys) {
  Machine machine;
  for (int64_t id : {1, 2, 3}) machine.Do(GrantOf(id, 60));
  machine.Do(PutOf("a", "v", 1));
  machine.Do(PutOf("c", "v", 3));
  std::vector<LeaseId> ids = {LeaseId(3), LeaseId(99), LeaseId(2), LeaseId(1)};
  CallResult nobody = machine.DoEntry(EncodeLeaseExpiry(ids));
  EXPECT_EQ(nobody.counter, 0U) << "nobody waits";
  EXPECT_EQ(machine.last().report.expiry_entries, 1U);
  EXPECT_EQ(machine.last().report.leases.size(), 3U);
  const auto& events = machine.last().events->events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kv.key.view(), "c");
  EXPECT_EQ(events[0].kv.mod, Revision(4));
  EXPECT_EQ(events[1].kv.mod, Revision(5));
  EXPECT_EQ(machine.state().leases().size(), 0U);
}

TEST(LeaseCheckpointTest, IsKeptAndTold) {
  Machine machine;
  machine.Do(GrantOf(1, 600));
  Command command;
  auto* known = command.mutable_lease_checkpoint()->add_checkpoints();
  known->set_id(1);
  known->set_remaining_ttl(300);
  command.mutable_lease_checkpoint()->add_checkpoints()->set_id(2);
  machine.Do(command);
  ASSERT_EQ(machine.last().report.leases.size(), 1U) << "an unknown lease is skipped";
  EXPECT_EQ(machine.last().report.leases[0].remaining_seconds, 300);
  Machine restarted = machine.Restarted();
  EXPECT_EQ(restarted.state().leases().Find(LeaseId(1))->remaining_seconds, 300);
  EXPECT_EQ(restarted.state().leases().Find(LeaseId(1))->ttl_seconds, 600);
}

TEST(LeaseTest, LeasesAndTheirKeysSurviveARestart) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  machine.Do(GrantOf(-2, 70));
  machine.Do(GrantOf(3, 80));
  machine.Do(PutOf("a", "v", 1));
  machine.Do(PutOf("b", "v", -2));
  machine.Do(PutOf("c", "v", 3));
  machine.Do(PutOf("b", "v", 1));
  machine.Do(RevokeOf(3));
  Machine restarted = machine.Restarted();
  EXPECT_EQ(KeysOf(restarted, 1), (Strings{"a", "b"}));
  EXPECT_EQ(KeysOf(restarted, -2), Strings{});
  EXPECT_FALSE(restarted.state().leases().Contains(LeaseId(3)));
  EXPECT_EQ(restarted.Do(RevokeOf(1)).revision, Revision(7));
  EXPECT_EQ(restarted.Keys(), "");
}

}  // namespace
}  // namespace store::apply
