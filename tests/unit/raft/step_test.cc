// SPDX-License-Identifier: Apache-2.0
// Messages that our own leader does not send, but another version or a later change may.
#include "store/raft/raft.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace store::raft {
namespace {

EntryPtr MakeEntry(uint64_t index, uint64_t term, std::string data) {
  return std::make_shared<const Entry>(
      Entry{Term(term), Index(index), EntryKind::kCommand, std::move(data)});
}

// Of three members, in term 1, with entries 1 to 3 on disk of which 1 is committed.
std::unique_ptr<Raft> Follower(uint64_t reads_after = 0) {
  Config config;
  config.reads_after = reads_after;
  config.id = NodeId(1);
  Restart restart;
  restart.hard_state = {Term(1), NodeId(), Index(1)};
  restart.conf.voters = {NodeId(1), NodeId(2), NodeId(3)};
  restart.runs = {{Index(1), Term(1)}};
  restart.tail = {MakeEntry(1, 1, "a"), MakeEntry(2, 1, "b"), MakeEntry(3, 1, "other")};
  return std::make_unique<Raft>(config, std::move(restart));
}

TEST(Follower, CommitsOnlyWhatTheAppendConfirms) {
  std::unique_ptr<Raft> raft = Follower();
  raft->Step({NodeId(2), NodeId(1),
              AppendRequest{Term(2), Index(1), Term(1), Index(3), {MakeEntry(2, 1, "b")}}});
  EXPECT_EQ(raft->status().commit, Index(2)) << "entry 3 of the leader may be another";
  EXPECT_EQ(raft->status().last, Index(3));
}

TEST(Follower, AHeartbeatBehindItsLogCommitsNothing) {
  std::unique_ptr<Raft> raft = Follower();
  raft->Step({NodeId(2), NodeId(1), Heartbeat{Term(2), Index(7), ReadId(1)}});
  EXPECT_EQ(raft->status().commit, Index(1));
}

// The host sends what a unit releases before it tells the core: the answers of all others may be
// here first. Seen as the end of two processes on a busy machine.
TEST(Candidate, VotesThatComeBeforeItsOwnIsKnownToBeDurableWaitForIt) {
  std::unique_ptr<Raft> raft = Follower();
  raft->Campaign();
  (void)raft->TakeOutput();
  for (uint64_t id : {2, 3}) {
    raft->Step({NodeId(id), NodeId(1), VoteReply{Term(2), true, true}});
  }
  Output output = raft->TakeOutput();
  ASSERT_TRUE(output.persist);
  for (uint64_t id : {2, 3}) {
    raft->Step({NodeId(id), NodeId(1), VoteReply{Term(2), true, false}});
  }
  EXPECT_EQ(raft->status().role, Role::kCandidate) << "it could forget its vote";
  raft->OnPersisted(output.persist->id);
  EXPECT_EQ(raft->status().role, Role::kLeader);
}

// Seed 100539 of simrun: the leader's answer to a follower's former life came late, under a number
// that this life had given to a read of its own, and its index was too old for that one.
TEST(Follower, AnAnswerToAFormerLifeGrantsNoRead) {
  std::unique_ptr<Raft> former = Follower();
  const ReadId old = former->RequestRead();
  std::unique_ptr<Raft> raft = Follower(1'000'000);
  raft->Step({NodeId(2), NodeId(1), Heartbeat{Term(2), Index(1), ReadId(1)}});
  const ReadId read = raft->RequestRead();
  (void)raft->TakeOutput();
  raft->Step({NodeId(2), NodeId(1), ReadReply{Term(2), old, Index(1)}});
  EXPECT_TRUE(raft->TakeOutput().reads.empty());
  raft->Step({NodeId(2), NodeId(1), ReadReply{Term(2), read, Index(3)}});
  Output output = raft->TakeOutput();
  ASSERT_EQ(output.reads.size(), 1U);
  EXPECT_EQ(output.reads[0].batch, read);
}

// The leader of three in term 2, whose window holds nothing of what member 3 needs.
class LeaderOfALaggard : public testing::Test {
 protected:
  LeaderOfALaggard() {
    Config config;
    config.id = NodeId(1);
    config.window_bytes_max = 1;
    Restart restart;
    restart.hard_state = {Term(1), NodeId(), Index(4)};
    restart.conf.voters = {NodeId(1), NodeId(2), NodeId(3)};
    restart.applied = Index(4);
    restart.truncated = Index(1);
    restart.truncated_term = Term(1);
    restart.runs = {{Index(2), Term(1)}};
    restart.tail = {MakeEntry(2, 1, "b"), MakeEntry(3, 1, "c"), MakeEntry(4, 1, "d")};
    raft_ = std::make_unique<Raft>(config, std::move(restart));
    raft_->Campaign();
    Take();
    raft_->Step({NodeId(2), NodeId(1), VoteReply{Term(2), true, true}});
    Take();
    raft_->Step({NodeId(2), NodeId(1), VoteReply{Term(2), true, false}});
    Take();
    raft_->Step({NodeId(3), NodeId(1), AppendReply{Term(2), false, Index(4), Index(2), Term(1)}});
  }

  Output Take() {
    Output output = raft_->TakeOutput();
    if (output.persist) raft_->OnPersisted(output.persist->id);
    for (const Envelope& envelope : output.send) {
      if (const auto* beat = std::get_if<Heartbeat>(&envelope.message)) round_ = beat->round;
    }
    return output;
  }

  std::unique_ptr<Raft> raft_;
  ReadId round_;
};

TEST_F(LeaderOfALaggard, AsksAgainForWhatItsHostCouldNotReadButNotAtOnce) {
  Output output = Take();
  ASSERT_EQ(output.fetch.size(), 1U);
  EXPECT_EQ(output.fetch[0].from, Index(3));
  raft_->OnFetched(NodeId(3), Index(3), {});
  output = Take();
  EXPECT_TRUE(output.fetch.empty()) << "a host without time would be asked again and again";
  EXPECT_TRUE(output.snapshots.empty()) << "the log still has what it needs";
  raft_->Tick();
  Take();
  raft_->Step({NodeId(3), NodeId(1), HeartbeatReply{Term(2), round_}});
  output = Take();
  ASSERT_EQ(output.fetch.size(), 1U);
  EXPECT_EQ(output.fetch[0].from, Index(3));
  raft_->OnFetched(NodeId(3), Index(3), {MakeEntry(3, 1, "c")});
  output = Take();
  ASSERT_EQ(output.send.size(), 1U);
  EXPECT_EQ(std::get<AppendRequest>(output.send[0].message).entries.size(), 1U);
}

// Seed 78494867376092 of raftsim: a leader whose disk stood still handed over by itself, and its
// host went on reading under the lease that its last round had given.
TEST_F(LeaderOfALaggard, EndsTheLeaseWhenItHandsOverByItself) {
  ASSERT_EQ(raft_->Propose({"e"}), ProposeResult::kAppended);
  (void)raft_->TakeOutput();  // its disk stands still
  bool ended = false;
  for (int tick = 0; tick < 20 && !ended; ++tick) {
    for (uint64_t id : {2, 3}) {
      raft_->Step({NodeId(id), NodeId(1), AppendReply{Term(2), true, Index(6), Index(), Term()}});
    }
    EXPECT_FALSE(raft_->TakeOutput().lease_ended);
    raft_->Tick();
    ended = raft_->TakeOutput().lease_ended;
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace store::raft
