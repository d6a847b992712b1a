// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_codec.h"

#include "store/base/random.h"

#include <gtest/gtest.h>
#include <peer.pb.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace store::peer {
namespace {

using raft::Index;
using raft::NodeId;
using raft::ReadId;
using raft::Term;

const FrameHeader kHeader{ClusterId(0xc1), NodeId(0xa1), NodeId(0xb2), kProtocol};

std::string Join(const rpc::MessageBody& body) {
  std::string bytes;
  for (const SharedBytes& part : body.parts()) bytes.append(part.view());
  EXPECT_EQ(bytes.size(), body.size());
  return bytes;
}

std::string Encoded(const Body& body) { return Join(EncodeFrame(kHeader, body)); }

raft::EntryPtr MakeEntry(uint64_t term, uint64_t index, std::string data) {
  raft::Entry entry;
  entry.term = Term(term);
  entry.index = Index(index);
  entry.kind = raft::EntryKind::kCommand;
  entry.data = std::move(data);
  return std::make_shared<const raft::Entry>(std::move(entry));
}

raft::AppendRequest Append(std::vector<std::string> commands) {
  raft::AppendRequest append{Term(7), Index(40), Term(6), Index(39), {}};
  for (std::string& command : commands) {
    append.entries.push_back(MakeEntry(7, 41 + append.entries.size(), std::move(command)));
  }
  return append;
}

std::vector<Body> Bodies() {
  raft::SnapshotNotice notice{
      Term(3), {Index(9), Term(2), {{NodeId(1), NodeId(2)}, {NodeId(1)}, {NodeId(3)}}}};
  replica::PeerLeaseRequest requests;
  requests.requests.push_back({replica::LeaseRequest::Kind::kKeepAlive, 1, LeaseId(77), {}});
  requests.requests.push_back({replica::LeaseRequest::Kind::kTimeToLive, 2, LeaseId(78), {}});
  replica::PeerLeaseAnswer answers;
  answers.answers.push_back({1, ErrorCode::kOk, LeaseId(77), 60, 61, {}});
  answers.answers.push_back({2, ErrorCode::kLeaseNotFound, LeaseId(78), 0, 0, {}});
  answers.answers.push_back({3, ErrorCode::kNotLeader, LeaseId(79), 0, 0, {}});
  replica::PeerMemberChange change{{1, 2, LoopId(3), 4},
                                   std::chrono::seconds(7),
                                   {replica::MemberChange::Verb::kPromote,
                                    {raft::ConfChangeKind::kAddVoter, NodeId(9), "context"}}};
  replica::PeerMemberRefusal refusal{{1, 2, LoopId(3), 4}, ErrorCode::kMemberLearnerNotReady};
  return {replica::PeerMessage(change),
          replica::PeerMessage(refusal),
          Hello{ChannelKind::kLog, "3.7.0"},
          Hello{ChannelKind::kControl, "3.7.0"},
          Ping{5, 1'700'000'000'000'000'000},
          Pong{5, 1'700'000'000'000'000'001},
          raft::Message(raft::Heartbeat{Term(1), Index(2), ReadId(3)}),
          raft::Message(raft::HeartbeatReply{Term(1), ReadId(3)}),
          raft::Message(Append({})),
          raft::Message(Append({"small", std::string(5000, 'x'), "", std::string(100'000, 'y')})),
          raft::Message(raft::AppendReply{Term(4), true, Index(5), Index(6), Term(3)}),
          raft::Message(raft::VoteRequest{Term(4), Index(5), Term(3), true, false}),
          raft::Message(raft::VoteRequest{Term(4), Index(5), Term(3), false, true}),
          raft::Message(raft::VoteReply{Term(4), true, false}),
          raft::Message(notice),
          raft::Message(raft::TimeoutNow{Term(9)}),
          raft::Message(raft::ForwardPropose{{"a", "", std::string(70'000, 'b')}}),
          raft::Message(raft::ReadRequest{ReadId(1ULL << 63)}),
          raft::Message(raft::ReadReply{Term(4), ReadId(2), Index(8)}),
          replica::PeerMessage(requests),
          replica::PeerMessage(answers)};
}

// What is read back writes the same bytes: nothing was lost on the way.
TEST(PeerCodec, WhatIsReadBackIsWhatWasWritten) {
  for (const Body& body : Bodies()) {
    std::string bytes = Encoded(body);
    auto frame = DecodeFrame(bytes);
    ASSERT_TRUE(frame) << frame.error().ToString();
    EXPECT_EQ(frame->header, kHeader);
    EXPECT_EQ(frame->body.index(), body.index());
    EXPECT_EQ(Encoded(frame->body), bytes);
  }
}

// Protobuf's own reader is the judge of what is written by hand.
TEST(PeerCodec, FramesAreMessagesOfPeerProto) {
  size_t kinds = 0;
  for (const Body& body : Bodies()) {
    sluice::peer::Frame frame;
    ASSERT_TRUE(frame.ParseFromString(Encoded(body)));
    EXPECT_EQ(frame.cluster_id(), 0xc1u);
    EXPECT_EQ(frame.from(), 0xa1u);
    EXPECT_EQ(frame.to(), 0xb2u);
    EXPECT_EQ(frame.protocol(), 1u);
    EXPECT_NE(frame.body_case(), sluice::peer::Frame::BODY_NOT_SET);
    auto again = DecodeFrame(frame.SerializeAsString());
    ASSERT_TRUE(again);
    EXPECT_EQ(Encoded(again->body), Encoded(body));
    ++kinds;
  }
  EXPECT_EQ(kinds, Bodies().size());
}

TEST(PeerCodec, AnAppendHasTheFieldsOfItsEntries) {
  sluice::peer::Frame frame;
  ASSERT_TRUE(frame.ParseFromString(Encoded(raft::Message(Append({"one", "two"})))));
  EXPECT_EQ(frame.append().term(), 7u);
  EXPECT_EQ(frame.append().prev(), 40u);
  EXPECT_EQ(frame.append().prev_term(), 6u);
  EXPECT_EQ(frame.append().commit(), 39u);
  ASSERT_EQ(frame.append().entries_size(), 2);
  sluice::peer::Entry entry;
  ASSERT_TRUE(entry.ParseFromString(frame.append().entries(1)));
  EXPECT_EQ(entry.term(), 7u);
  EXPECT_EQ(entry.index(), 42u);
  EXPECT_EQ(entry.kind(), sluice::peer::COMMAND);
  EXPECT_EQ(entry.data(), "two");
}

TEST(PeerCodec, LargeEntriesAreSentByReference) {
  raft::AppendRequest append = Append({"small", std::string(5000, 'x')});
  rpc::MessageBody body = EncodeFrame(kHeader, raft::Message(append));
  auto refers = std::count_if(body.parts().begin(), body.parts().end(), [&](const auto& part) {
    return part.data() == append.entries[1]->data.data();
  });
  EXPECT_EQ(refers, 1);
  EXPECT_EQ(body.parts().size(), 2u);
}

TEST(PeerCodec, AFrameOfAnotherProtocolSaysSoAndNoMore) {
  FrameHeader header = kHeader;
  header.protocol = 2;
  auto frame = DecodeFrame(Join(EncodeFrame(header, raft::Message(raft::TimeoutNow{Term(1)}))));
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.protocol, 2u);
  EXPECT_TRUE(std::holds_alternative<Hello>(frame->body));
}

TEST(PeerCodec, RefusesWhatTheCoreCouldNotBear) {
  auto refused = [](const sluice::peer::Frame& frame) {
    return !DecodeFrame(frame.SerializeAsString());
  };
  sluice::peer::Frame frame;
  frame.set_protocol(1);
  EXPECT_TRUE(refused(frame)) << "no body";
  auto add = [&frame](uint64_t term, uint64_t index, int kind) {
    sluice::peer::Entry entry;
    entry.set_term(term);
    entry.set_index(index);
    entry.set_kind(static_cast<sluice::peer::EntryKind>(kind));
    frame.mutable_append()->add_entries(entry.SerializeAsString());
  };
  frame.mutable_append()->set_term(5);
  frame.mutable_append()->set_prev(10);
  frame.mutable_append()->set_prev_term(4);
  add(5, 11, 1);
  EXPECT_FALSE(refused(frame));
  add(5, 13, 1);
  EXPECT_TRUE(refused(frame)) << "a gap";
  frame.mutable_append()->clear_entries();
  add(3, 11, 1);
  EXPECT_TRUE(refused(frame)) << "a term that falls";
  frame.mutable_append()->clear_entries();
  add(6, 11, 1);
  EXPECT_TRUE(refused(frame)) << "a term above the sender's";
  frame.mutable_append()->clear_entries();
  add(5, 11, 9);
  EXPECT_TRUE(refused(frame)) << "an unknown kind of entry";
  frame.mutable_hello();
  EXPECT_TRUE(refused(frame)) << "a hello without a channel";
  auto* conf = frame.mutable_snapshot_notice()->mutable_meta()->mutable_conf();
  conf->add_voters(2);
  conf->add_voters(1);
  EXPECT_TRUE(refused(frame)) << "voters that are not sorted";
}

TEST(PeerCodec, NoPrefixAndNoDamageMakesItCrash) {
  const uint64_t seed = 20261128;
  Random random(seed);
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  for (const Body& body : Bodies()) {
    std::string bytes = Encoded(body);
    if (bytes.size() > 10'000) bytes = Encoded(raft::Message(Append({"one", "two", "three"})));
    for (size_t length = 0; length < bytes.size(); ++length) {
      // May be a shorter message by itself; what it is then must be writable again.
      if (auto frame = DecodeFrame(bytes.substr(0, length))) (void)Encoded(frame->body);
    }
    for (int i = 0; i < 2000; ++i) {
      std::string damaged = bytes;
      for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
        damaged[random.Below(damaged.size())] = static_cast<char>(random.Below(256));
      }
      auto frame = DecodeFrame(damaged);
      if (!frame) continue;
      auto again = DecodeFrame(Encoded(frame->body));
      ASSERT_TRUE(again) << "what was accepted is accepted again";
    }
  }
}

}  // namespace
}  // namespace store::peer
