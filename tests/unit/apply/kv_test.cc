// SPDX-License-Identifier: Apache-2.0
// Put, DeleteRange, Compact: revisions, versions, options, as a client of etcd sees them.
#include "store/mvcc/collector.h"
#include "tests/unit/apply/machine.h"

namespace store::apply {
namespace {

using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutResponse;

TEST(PutTest, AnEmptyStoreIsAtOneAndTheFirstWriteGetsTwo) {
  Machine machine;
  EXPECT_EQ(machine.state().Read()->current, Revision(1));
  CallResult result = machine.Do(PutOf("k", "v"));
  EXPECT_EQ(result.error, ErrorCode::kOk);
  EXPECT_EQ(result.revision, Revision(2));
  EXPECT_EQ(result.response, nullptr) << "a plain put must not allocate a message";
  EXPECT_EQ(machine.Keys(), "k=v@2/2/1/0");
}

TEST(PutTest, EveryPutCountsEvenOfTheSameValue) {
  Machine machine;
  machine.Do(PutOf("k", "v"));
  EXPECT_EQ(machine.Do(PutOf("k", "v")).revision, Revision(3));
  EXPECT_EQ(machine.Keys(), "k=v@2/3/2/0");
  ASSERT_EQ(machine.last().events->events.size(), 1U);
  EXPECT_EQ(machine.last().events->events[0].kv.version, 2);
}

TEST(PutTest, ADeleteStartsANewGeneration) {
  Machine machine;
  machine.Do(PutOf("k", "1"));
  machine.Do(PutOf("k", "2"));
  machine.Do(DeleteOf("k"));
  machine.Do(PutOf("k", ""));
  EXPECT_EQ(machine.Keys(), "k=@5/5/1/0");
}

TEST(PutTest, PrevKvIsTheOldPairOrAbsent) {
  Machine machine;
  Command first = PutOf("k", "1");
  first.mutable_put()->set_prev_kv(true);
  EXPECT_FALSE(As<PutResponse>(machine.Do(first)).has_prev_kv());
  Command second = PutOf("k", "2");
  second.mutable_put()->set_prev_kv(true);
  CallResult result = machine.Do(second);
  const auto& previous = As<PutResponse>(result).prev_kv();
  EXPECT_EQ(previous.value(), "1");
  EXPECT_EQ(previous.mod_revision(), 2);
  EXPECT_EQ(previous.version(), 1);
  EXPECT_FALSE(As<PutResponse>(result).has_header());
}

TEST(PutTest, IgnoreValueKeepsTheValue) {
  Machine machine;
  ASSERT_EQ(machine.Do(GrantOf(9, 60)).error, ErrorCode::kOk);
  machine.Do(PutOf("k", "kept"));
  Command put = PutOf("k", "", 9);
  put.mutable_put()->set_ignore_value(true);
  EXPECT_EQ(machine.Do(put).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Keys(), "k=kept@2/3/2/9");
}

TEST(PutTest, IgnoreLeaseKeepsTheLease) {
  Machine machine;
  machine.Do(GrantOf(9, 60));
  machine.Do(PutOf("k", "1", 9));
  Command put = PutOf("k", "2");
  put.mutable_put()->set_ignore_lease(true);
  EXPECT_EQ(machine.Do(put).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Keys(), "k=2@2/3/2/9");
  machine.Do(PutOf("k", "3"));
  EXPECT_EQ(machine.Keys(), "k=3@2/4/3/0") << "a put without a lease detaches the key";
}

TEST(PutTest, KeepingSomethingNeedsAKey) {
  Machine machine;
  Command put = PutOf("k", "");
  put.mutable_put()->set_ignore_value(true);
  EXPECT_EQ(machine.Do(put).error, ErrorCode::kKeyNotFound);
  put.mutable_put()->set_ignore_value(false);
  put.mutable_put()->set_ignore_lease(true);
  EXPECT_EQ(machine.Do(put).error, ErrorCode::kKeyNotFound);
  EXPECT_EQ(machine.state().Read()->current, Revision(1));
}

TEST(PutTest, AnUnknownLeaseIsLookedAtBeforeTheKey) {
  Machine machine;
  EXPECT_EQ(machine.Do(PutOf("k", "v", 9)).error, ErrorCode::kLeaseNotFound);
  Command put = PutOf("k", "", 9);
  put.mutable_put()->set_ignore_value(true);
  EXPECT_EQ(machine.Do(put).error, ErrorCode::kLeaseNotFound);
  EXPECT_EQ(machine.Keys(), "");
}

TEST(PutTest, KeysAndValuesAreAnyBytes) {
  Machine machine;
  std::string key("\0\xff\x80", 3);
  std::string value("\xfe\0", 2);
  machine.Do(PutOf(key, value));
  auto kv = machine.state().Read().view().Get(key);
  ASSERT_TRUE(kv && *kv);
  EXPECT_EQ((*kv)->value.view(), value);
}

TEST(DeleteRangeTest, DeletesTheRangeInOneRevision) {
  Machine machine;
  for (std::string_view key : {"c", "a", "b"}) machine.Do(PutOf(key, key));
  Command command = DeleteOf("a", "c");
  command.mutable_delete_range()->set_prev_kv(true);
  CallResult result = machine.Do(command);
  const auto& response = As<DeleteRangeResponse>(result);
  EXPECT_EQ(result.revision, Revision(5));
  EXPECT_EQ(response.deleted(), 2);
  ASSERT_EQ(response.prev_kvs_size(), 2);
  EXPECT_EQ(response.prev_kvs(0).key(), "a");
  EXPECT_EQ(response.prev_kvs(1).value(), "b");
  EXPECT_EQ(machine.Keys(), "c=c@2/2/1/0");

  const auto& events = machine.last().events->events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].type, mvcc::EventType::kDelete);
  EXPECT_EQ(events[0].kv.key.view(), "a");
  EXPECT_EQ(events[1].kv.mod, Revision(5));
  EXPECT_EQ(events[1].kv.version, 0);
}

TEST(DeleteRangeTest, NothingDeletedIsNoRevision) {
  Machine machine;
  machine.Do(PutOf("b", "1"));
  for (const Command& command : {DeleteOf("a"), DeleteOf("c", "a"), DeleteOf("c", "d")}) {
    CallResult result = machine.Do(command);
    EXPECT_EQ(As<DeleteRangeResponse>(result).deleted(), 0);
    EXPECT_EQ(result.revision, Revision(2));
  }
}

TEST(DeleteRangeTest, FromKeyOnAndEverything) {
  Machine machine;
  std::string zero("\0", 1);
  for (std::string_view key : {"a", "b", "c"}) machine.Do(PutOf(key, key));
  EXPECT_EQ(As<DeleteRangeResponse>(machine.Do(DeleteOf("b", zero))).deleted(), 2);
  EXPECT_EQ(As<DeleteRangeResponse>(machine.Do(DeleteOf(zero, zero))).deleted(), 1);
}

TEST(CompactTest, OnlyForward) {
  Machine machine;
  for (int i = 0; i < 4; ++i) machine.Do(PutOf("k", "v"));
  EXPECT_EQ(machine.Do(CompactOf(6)).error, ErrorCode::kFutureRevision);
  CallResult compacted = machine.Do(CompactOf(3));
  EXPECT_EQ(compacted.error, ErrorCode::kOk);
  EXPECT_EQ(compacted.revision, Revision(5)) << "the header says the current revision";
  EXPECT_EQ(machine.Do(CompactOf(3)).error, ErrorCode::kCompacted);
  EXPECT_EQ(machine.Do(CompactOf(2)).error, ErrorCode::kCompacted);
  EXPECT_EQ(machine.Do(CompactOf(5)).error, ErrorCode::kOk);
  EXPECT_EQ(machine.state().Read()->current, Revision(5));
  EXPECT_EQ(machine.state().Read()->compacted, Revision(5));
}

TEST(CompactTest, ANeverCompactedStoreTakesZeroOnce) {
  Machine machine;
  EXPECT_EQ(machine.state().Read()->compacted, Revision(-1));
  EXPECT_EQ(machine.Do(CompactOf(-1)).error, ErrorCode::kCompacted);
  EXPECT_EQ(machine.Do(CompactOf(0)).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Do(CompactOf(0)).error, ErrorCode::kCompacted);
}

TEST(CompactTest, ReadsBelowFailAndAtItWork) {
  Machine machine;
  for (int i = 0; i < 4; ++i) machine.Do(PutOf("k", std::to_string(i)));
  machine.Do(CompactOf(4));
  StateRef ref = machine.state().Read();
  mvcc::RangeQuery query;
  query.range = KeyRange::Point("k");
  query.at = Revision(3);
  EXPECT_EQ(ref.view().Range(query).error().code(), ErrorCode::kCompacted);
  query.at = Revision(4);
  auto range = ref.view().Range(query);
  ASSERT_TRUE(range);
  EXPECT_EQ(range->kvs[0].value.view(), "2");
}

TEST(CompactTest, PhysicalWaitsForTheCollector) {
  Machine machine;
  for (int i = 0; i < 4; ++i) machine.Do(PutOf("k", "v"));
  EXPECT_EQ(machine.Do(CompactOf(2)).wait_collected, Revision(0));
  EXPECT_EQ(machine.Do(CompactOf(4, true)).wait_collected, Revision(4));
  CallResult again = machine.Do(CompactOf(4, true));
  EXPECT_EQ(again.error, ErrorCode::kCompacted);
  EXPECT_EQ(again.wait_collected, Revision(4)) << "a job may still be pending";
  EXPECT_EQ(machine.Do(CompactOf(9, true)).wait_collected, Revision(0));
}

TEST(CompactTest, TheRevisionSurvivesCompactionOfEverythingAndARestart) {
  Machine machine;
  machine.Do(PutOf("k", "v"));
  machine.Do(DeleteOf("k"));
  machine.Do(CompactOf(3));
  mvcc::Collector collector(machine.state().mvcc());
  auto step = collector.Step(TimePoint());
  while (step && step->state == mvcc::CollectStep::State::kMore) step = collector.Step(TimePoint());
  ASSERT_TRUE(step);
  Machine restarted = machine.Restarted();
  EXPECT_EQ(restarted.state().Read()->current, Revision(3));
  EXPECT_EQ(restarted.Do(PutOf("k", "v")).revision, Revision(4));
}

}  // namespace
}  // namespace store::apply
