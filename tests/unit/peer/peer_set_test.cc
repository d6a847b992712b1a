// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_set.h"

#include "tests/unit/peer/peer_node.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace store::peer::test {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;

raft::Message Numbered(uint64_t number) {
  return raft::AppendReply{Term(number), true, {}, {}, {}};
}

raft::Message Appending(size_t bytes) {
  raft::Entry entry;
  entry.term = Term(1);
  entry.index = Index(1);
  entry.data = std::string(bytes, 'x');
  return raft::AppendRequest{
      Term(1), Index(0), Term(0), Index(0), {std::make_shared<const raft::Entry>(entry)}};
}

void Introduce(Node& one, Node& two) {
  one.Know({one.member(), two.member()});
  two.Know({one.member(), two.member()});
}

TEST(PeerSet, MessagesTravelBothWaysInOrder) {
  Node one(Quick(1));
  Node two(Quick(2));
  Introduce(one, two);
  ASSERT_TRUE(one.WaitActive(2) && two.WaitActive(1));
  constexpr uint64_t kCount = 1000;
  for (uint64_t i = 1; i <= kCount; ++i) {
    one.Send(2, Numbered(i));
    two.Send(1, Numbered(i));
  }
  for (Node* node : {&one, &two}) {
    ASSERT_TRUE(
        node->events.Wait([](const auto& heard) { return heard.messages.size() == kCount; }));
    auto messages = node->events.heard().messages;
    for (uint64_t i = 0; i < kCount; ++i) {
      EXPECT_EQ(std::get<raft::AppendReply>(messages[i].message).term, Term(i + 1));
    }
    EXPECT_EQ(messages[0].to, node == &one ? NodeId(1) : NodeId(2));
    EXPECT_EQ(messages[0].from, node == &one ? NodeId(2) : NodeId(1));
  }
  EXPECT_EQ(one.Metric("etcd_network_active_peers{Local=\"1\",Remote=\"2\"}"), 1);
}

TEST(PeerSet, OtherMessagesAndLargeEntriesArrive) {
  Node one(Quick(1));
  Node two(Quick(2));
  Introduce(one, two);
  ASSERT_TRUE(one.WaitActive(2) && two.WaitActive(1));
  for (int i = 0; i < 8; ++i) one.Send(2, Appending(1 << 20));
  one.peers.SendPeer(NodeId(2), replica::PeerLeaseRequest{{{{}, 7, LeaseId(77), {}}}});
  ASSERT_TRUE(two.events.Wait(
      [](const auto& heard) { return heard.messages.size() == 8 && heard.others.size() == 1; }));
  auto heard = two.events.heard();
  EXPECT_EQ(std::get<raft::AppendRequest>(heard.messages[7].message).entries[0]->data,
            std::string(1 << 20, 'x'));
  EXPECT_EQ(heard.others[0].first, NodeId(1));
  EXPECT_EQ(std::get<replica::PeerLeaseRequest>(heard.others[0].second).requests[0].tag, 7u);
}

TEST(PeerSet, AMemberThatComesBackIsFoundAgain) {
  Node two(Quick(2));
  auto one = std::make_unique<Node>(Quick(1));
  Introduce(*one, two);
  ASSERT_TRUE(two.WaitActive(1));
  std::string address = one->address();
  cluster::Member self = one->member();
  one.reset();
  ASSERT_TRUE(
      two.events.Wait([](const auto& heard) { return heard.unreachable.contains(NodeId(1)); }));
  two.Send(1, Numbered(1));  // lost
  one = std::make_unique<Node>(Quick(1), address);
  one->Know({self, two.member()});
  ASSERT_TRUE(two.WaitActive(1));
  two.Send(1, Numbered(2));
  ASSERT_TRUE(one->events.Wait([](const auto& heard) { return !heard.messages.empty(); }));
  EXPECT_EQ(std::get<raft::AppendReply>(one->events.heard().messages[0].message).term, Term(2))
      << "what was sent while it was away is worth nothing to it";
  EXPECT_GE(two.Metric("etcd_network_disconnected_peers_total{Local=\"2\",Remote=\"1\"}"), 1);
}

TEST(PeerSet, TheNextUrlIsTriedWhenOneDoesNotAnswer) {
  Node one(Quick(1));
  Node two(Quick(2));
  std::string dead;
  {
    Node gone(Quick(3));
    dead = gone.address();
  }
  cluster::Member first = one.member();
  first.peer_urls.insert(first.peer_urls.begin(), "http://" + dead);
  one.Know({one.member(), two.member()});
  two.Know({first, two.member()});
  EXPECT_TRUE(two.WaitActive(1));
}

// It has moved, and somebody else listens where it was.
TEST(PeerSet, TheNextUrlIsTriedWhenAnotherMemberAnswers) {
  Node one(Quick(1));
  Node two(Quick(2));
  Node three(Quick(3));
  cluster::Member both = one.member();
  both.peer_urls.insert(both.peer_urls.begin(), "http://" + three.address());
  one.Know({one.member(), two.member()});
  two.Know({both, two.member()});
  EXPECT_TRUE(two.WaitActive(1));
}

// Nobody else can tell the one that was away: it speaks to nobody, and all that it would dial is
// gone.
TEST(PeerSet, AMemberThatMovedMeanwhileIsDialledWhereItSaysThatItIs) {
  PeerLimits limits;
  limits.knock_after = std::chrono::milliseconds(20);
  Node moved(Quick(1, limits));
  Node away(Quick(2));
  cluster::Member before = moved.member();
  {
    Node gone(Quick(3));
    before.peer_urls = {"http://" + gone.address()};
  }
  away.Know({before, away.member()});
  moved.Know({moved.member(), away.member()});
  ASSERT_TRUE(away.WaitActive(1) && moved.WaitActive(2));
  // Neither a change of another member, applied before this one's, nor its own ends that.
  cluster::Member other{
      .id = NodeId(3), .name = {}, .peer_urls = {}, .client_urls = {}, .learner = false};
  uint64_t number = 0;
  for (const cluster::Member& row : {before, moved.member()}) {
    away.Know({row, away.member(), other});
    away.Send(1, Numbered(++number));
    ASSERT_TRUE(
        moved.events.Wait([number](const auto& heard) { return heard.messages.size() == number; }));
    away.Run([&] { EXPECT_EQ(away.peers.Find(NodeId(1))->addresses().front(), moved.address()); });
  }
  EXPECT_EQ(away.Metric("etcd_network_disconnected_peers_total{Local=\"2\",Remote=\"1\"}"), 0);
}

TEST(PeerSet, AnotherClusterIsRefused) {
  PeerSetOptions foreign = Quick(2);
  foreign.cluster = ClusterId(0xc2);
  Node one(Quick(1));
  Node two(std::move(foreign));
  Introduce(one, two);
  two.Send(1, Numbered(1));
  while (one.Metric("sluice_peer_streams_refused_total") < 2) two.Run([] {});
  EXPECT_FALSE(one.Active(2));
  EXPECT_TRUE(one.events.heard().messages.empty());
}

TEST(PeerSet, AnUnknownMemberIsRefusedAndARemovedOneIsTold) {
  Node one(Quick(1));
  Node two(Quick(2));
  std::promise<void> told;
  std::atomic<bool> once{false};
  two.peers.OnRemoved([&] {
    if (!once.exchange(true)) told.set_value();
  });
  one.Know({one.member()});
  // It does not know its own address, so nobody could answer it.
  two.Know({one.member()});
  while (one.Metric("sluice_peer_streams_refused_total") < 2) two.Run([] {});
  EXPECT_FALSE(once.load());
  one.Know({one.member()}, {NodeId(2)});
  EXPECT_EQ(told.get_future().wait_for(kPatience), std::future_status::ready);
}

// Or one that is far behind could never be told by a leader that was added meanwhile.
TEST(PeerSet, AMemberAddedLaterIsHeardBeforeTheLogTells) {
  PeerLimits limits;
  limits.knock_after = std::chrono::milliseconds(20);
  for (bool behind_dials : {false, true}) {
    Node behind(Quick(behind_dials ? 5 : 2, limits));
    Node added(Quick(3, limits));
    const uint64_t id = behind_dials ? 5 : 2;
    behind.Know({behind.member()});
    added.Know({behind.member(), added.member()});
    ASSERT_TRUE(added.WaitActive(id) && behind.WaitActive(3));
    added.Send(id, Numbered(7));
    ASSERT_TRUE(behind.events.Wait([](const auto& heard) { return !heard.messages.empty(); }));
    behind.Send(3, Numbered(8));
    ASSERT_TRUE(added.events.Wait([](const auto& heard) { return !heard.messages.empty(); }));
    // What is applied without naming it changes nothing; its removal does.
    behind.Know({behind.member()});
    behind.Run([&] { EXPECT_NE(behind.peers.Find(NodeId(3)), nullptr); });
    behind.Know({behind.member()}, {NodeId(3)});
    behind.Run([&] { EXPECT_EQ(behind.peers.Find(NodeId(3)), nullptr); });
  }
}

// Nobody dials a member with a low id that was removed while it could not be reached.
TEST(PeerSet, ARemovedMemberThatNobodyDialsAsks) {
  PeerLimits limits;
  limits.knock_after = std::chrono::milliseconds(50);
  Node one(Quick(1, limits));
  Node two(Quick(2));
  std::promise<void> told;
  std::atomic<bool> once{false};
  one.peers.OnRemoved([&] {
    if (!once.exchange(true)) told.set_value();
  });
  two.Know({two.member()}, {NodeId(1)});
  one.Know({one.member(), two.member()});
  EXPECT_EQ(told.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(PeerSet, AKnockOfAMemberIsNoStream) {
  PeerLimits limits;
  limits.knock_after = std::chrono::milliseconds(20);
  Node one(Quick(1, limits));
  Node two(Quick(2));
  two.Know({two.member(),
            {.id = NodeId(1), .name = {}, .peer_urls = {}, .client_urls = {}, .learner = false}});
  // It does not know its own address, so nobody could answer it.
  one.Know({two.member()});
  while (two.Ended(kExchangePath, rpc::GrpcCode::kFailedPrecondition) == 0) one.Run([] {});
  EXPECT_FALSE(one.Active(2));
  Introduce(one, two);
  EXPECT_TRUE(one.WaitActive(2));
}

TEST(PeerSet, ARemovedMembersStreamsAreEnded) {
  Node one(Quick(1));
  Node two(Quick(2));
  Introduce(one, two);
  ASSERT_TRUE(one.WaitActive(2) && two.WaitActive(1));
  one.Know({one.member()}, {NodeId(2)});
  ASSERT_TRUE(
      two.events.Wait([](const auto& heard) { return heard.unreachable.contains(NodeId(1)); }));
  one.Run([&] { EXPECT_EQ(one.peers.Find(NodeId(2)), nullptr); });
}

// The receiver does not read: socket, windows and stream buffers fill, then the queue, then
// messages are dropped and the loss is told once.
TEST(PeerSet, AFullQueueDropsAndTellsOnce) {
  PeerLimits limits;
  limits.log_queue_bytes = 4 << 20;
  limits.silence = std::chrono::hours(1);
  Node one(Quick(1, limits));
  Node two(Quick(2, limits));
  Introduce(one, two);
  ASSERT_TRUE(one.WaitActive(2) && two.WaitActive(1));
  std::promise<void> go_on;
  std::promise<void> blocked;
  two.loop().Post([&] {
    blocked.set_value();
    go_on.get_future().wait();
  });
  blocked.get_future().wait();
  const std::string failures = "etcd_network_peer_sent_failures_total{To=\"2\"}";
  for (int i = 0; one.Metric(failures) < 10 && i < 1000; ++i) {
    one.Send(2, Appending(1 << 20));
    one.Run([] {});
  }
  EXPECT_GE(one.Metric(failures), 10);
  EXPECT_LE(one.Metric("sluice_peer_queued_bytes{To=\"2\"}"), 4 << 20);
  EXPECT_GT(one.Metric("sluice_peer_queued_bytes{To=\"2\"}"), 2 << 20);
  EXPECT_EQ(one.events.heard().unreachable[NodeId(2)], 1);
  go_on.set_value();
  // It drains, and what comes later arrives.
  while (one.Metric("sluice_peer_queued_bytes{To=\"2\"}") > 0) one.Run([] {});
  one.Send(2, Numbered(7));
  EXPECT_TRUE(two.events.Wait([](const auto& heard) {
    return !heard.messages.empty() &&
           std::holds_alternative<raft::AppendReply>(heard.messages.back().message);
  }));
}

TEST(PeerSet, ASilentMemberIsUnreachableAndFoundAgain) {
  PeerLimits limits;
  limits.silence = std::chrono::milliseconds(400);
  Node one(Quick(1, limits));
  Node two(Quick(2, limits));
  Introduce(one, two);
  ASSERT_TRUE(one.WaitActive(2) && two.WaitActive(1));
  std::promise<void> go_on;
  one.loop().Post([&] { go_on.get_future().wait(); });
  EXPECT_TRUE(
      two.events.Wait([](const auto& heard) { return heard.unreachable.contains(NodeId(1)); }));
  go_on.set_value();
  EXPECT_TRUE(two.WaitActive(1));
  EXPECT_TRUE(one.WaitActive(2));
}

TEST(PeerSet, RoundTripsAreMeasured) {
  Node one(Quick(1));
  Node two(Quick(2));
  Introduce(one, two);
  while (two.Metric("etcd_network_peer_round_trip_time_seconds_count{To=\"1\"}") < 4) {
    two.Run([] {});
  }
  EXPECT_LT(std::abs(two.Metric("sluice_peer_clock_difference_milliseconds{To=\"1\"}")), 1000);
}

}  // namespace
}  // namespace store::peer::test
