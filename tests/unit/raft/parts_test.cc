// SPDX-License-Identifier: Apache-2.0
// The parts of the core, one by one. What they do together is told by tests/raft_scenarios.
#include "store/base/random.h"
#include "store/raft/conf_change.h"
#include "store/raft/inflights.h"
#include "store/raft/log.h"
#include "store/raft/progress.h"
#include "store/raft/quorum.h"
#include "store/raft/read_rounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace store::raft {
namespace {

EntryPtr MakeEntry(uint64_t index, uint64_t term) {
  return std::make_shared<Entry>(Entry{Term(term), Index(index), EntryKind::kCommand, "x"});
}

// Counts by hand: the greatest value that more than half of each half reached.
uint64_t NaiveValue(const ConfState& conf, const std::map<NodeId, uint64_t>& reached) {
  uint64_t best = 0;
  for (const auto& [node, candidate] : reached) {
    auto holds = [&](const std::vector<NodeId>& half) {
      auto count = std::count_if(half.begin(), half.end(),
                                 [&](NodeId n) { return reached.at(n) >= candidate; });
      return half.empty() || 2 * static_cast<size_t>(count) > half.size();
    };
    if (holds(conf.voters) && holds(conf.outgoing)) best = std::max(best, candidate);
  }
  return best;
}

TEST(QuorumTest, EqualsCountingByHand) {
  constexpr uint64_t kSeed = 17;
  Random random(kSeed);
  for (int round = 0; round < 20000; ++round) {
    ConfState conf;
    std::map<NodeId, uint64_t> reached;
    for (uint64_t node = 1; node <= 12; ++node) {
      if (random.Chance(0.5)) conf.voters.emplace_back(node);
      if (random.Chance(0.2)) conf.outgoing.emplace_back(node);
      reached[NodeId(node)] = random.Below(6);
    }
    if (conf.voters.empty()) continue;
    ASSERT_EQ(QuorumValue(conf, [&](NodeId n) { return reached[n]; }), NaiveValue(conf, reached))
        << "seed " << kSeed << " round " << round;
    // A vote is won exactly if the granted ones reach 1.
    bool won = QuorumValue(conf, [&](NodeId n) -> uint64_t { return reached[n] % 2; }) == 1;
    auto all_answer = [&](NodeId n) { return std::optional<bool>(reached[n] % 2 == 1); };
    ASSERT_EQ(QuorumVote(conf, all_answer), won ? VoteResult::kWon : VoteResult::kLost);
  }
}

TEST(QuorumTest, NobodyDecidesNothing) {
  EXPECT_EQ(QuorumValue({}, [](NodeId) { return 9; }), 0u);
  EXPECT_EQ(QuorumVote({}, [](NodeId) { return std::optional<bool>(); }), VoteResult::kLost);
}

TEST(InflightsTest, FullByMessagesOrBytesButAdmitsOne) {
  Inflights window(2, 100);
  window.Add(Index(1), 1000);
  EXPECT_TRUE(window.Full());
  window.FreeThrough(Index(1));
  EXPECT_FALSE(window.Full());
  window.Add(Index(2), 10);
  window.Add(Index(3), 10);
  EXPECT_TRUE(window.Full());
  window.FreeThrough(Index(2));
  EXPECT_EQ(window.messages(), 1u);
  EXPECT_EQ(window.bytes(), 10u);
}

TEST(ConfChangeTest, AddsPromotesRemovesAndKeepsTheLastVoter) {
  ConfState conf{{NodeId(1)}, {}, {}};
  conf = Changed(conf, {ConfChangeKind::kAddLearner, NodeId(2), {}});
  EXPECT_TRUE(IsLearner(conf, NodeId(2)));
  conf = Changed(conf, {ConfChangeKind::kAddVoter, NodeId(2), {}});
  EXPECT_TRUE(IsVoter(conf, NodeId(2)) && !IsLearner(conf, NodeId(2)));
  conf = Changed(conf, {ConfChangeKind::kRemove, NodeId(1), {}});
  EXPECT_EQ(conf, Changed(conf, {ConfChangeKind::kRemove, NodeId(2), {}}));
  EXPECT_TRUE(IsValid(conf));
}

TEST(ConfChangeTest, BytesComeBack) {
  ConfChange change{ConfChangeKind::kAddVoter, NodeId(0x8000000000000001), "context"};
  std::optional<ConfChange> back = DecodeConfChange(EncodeConfChange(change));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->node, change.node);
  EXPECT_EQ(back->context, change.context);
  EXPECT_FALSE(DecodeConfChange("short"));
  EXPECT_FALSE(DecodeConfChange(std::string(9, '\x7f')));
}

TEST(ReadRoundsTest, NewerAnswerServesAllOlderRounds) {
  ReadRounds rounds;
  ASSERT_TRUE(rounds.Join({NodeId(1), ReadId(1)}));
  EXPECT_EQ(rounds.Start(Index(5)), ReadId(1));
  ASSERT_TRUE(rounds.Join({NodeId(1), ReadId(2)}));
  EXPECT_EQ(rounds.Start(Index(7)), ReadId(2));
  EXPECT_EQ(rounds.Abandoned(NodeId(1)).size(), 2u);
  auto granted = rounds.Complete(ReadId(2));
  ASSERT_EQ(granted.size(), 2u);
  EXPECT_EQ(granted[0].index, Index(5));
  EXPECT_EQ(granted[1].index, Index(7));
  EXPECT_TRUE(rounds.Abandoned(NodeId(1)).empty());
}

TEST(ProgressTest, StrayRefusalsChangeNothing) {
  Progress peer(NodeId(2), Index(10), 4, 1000);
  EXPECT_FALSE(peer.OnRefused(Index(3), Index(2)));
  EXPECT_TRUE(peer.OnRefused(Index(9), Index(5)));
  EXPECT_EQ(peer.next(), Index(6));
  EXPECT_TRUE(peer.OnMatched(Index(6)));
  EXPECT_EQ(peer.state(), ProgressState::kReplicate);
  EXPECT_FALSE(peer.OnRefused(Index(6), Index(1)));
  EXPECT_EQ(peer.state(), ProgressState::kReplicate);
}

TEST(RaftLogTest, LateAcknowledgementOfReplacedEntriesDoesNotCount) {
  RaftLog log(Restart{});
  for (uint64_t i = 1; i <= 3; ++i) log.Append(MakeEntry(i, 1));
  EXPECT_EQ(log.TakeUnemitted().size(), 3u);
  log.Emitted(1, log.TakeTruncateFrom());
  // The tail is replaced while unit 1 is in flight.
  log.TruncateSuffix(Index(2));
  log.Append(MakeEntry(2, 2));
  log.Append(MakeEntry(3, 2));
  std::optional<Index> from = log.TakeTruncateFrom();
  EXPECT_EQ(from, Index(2));
  EXPECT_EQ(log.TakeUnemitted().size(), 2u);
  log.Emitted(2, from);
  log.Persisted(1);
  EXPECT_EQ(log.stable(), Index(1));
  log.Persisted(2);
  EXPECT_EQ(log.stable(), Index(3));
}

TEST(RaftLogTest, HintsSkipWholeTerms) {
  RaftLog log(Restart{});
  for (uint64_t i = 1; i <= 9; ++i) log.Append(MakeEntry(i, 1 + (i - 1) / 3));
  EXPECT_EQ(log.LastWithTermAtMost(Index(9), Term(2)), Index(6));
  EXPECT_EQ(log.LastWithTermAtMost(Index(5), Term(2)), Index(5));
  EXPECT_EQ(log.LastWithTermAtMost(Index(9), Term(0)), Index(0));
}

}  // namespace
}  // namespace store::raft
