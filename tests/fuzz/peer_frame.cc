// SPDX-License-Identifier: Apache-2.0
// Frames of other members: whatever comes is refused or can be written and read again without a
// change.
#include "store/base/check.h"
#include "store/peer/peer_codec.h"
#include "tests/fuzz/target.h"

#include <memory>

namespace store::fuzz {
namespace {

using raft::Index;
using raft::Term;

std::string Encoded(const peer::Body& body) {
  const peer::FrameHeader header{ClusterId(0xc1), raft::NodeId(1), raft::NodeId(2)};
  std::string bytes;
  const rpc::MessageBody frame = peer::EncodeFrame(header, body);
  for (const SharedBytes& part : frame.parts()) bytes.append(part.view());
  return bytes;
}

raft::EntryPtr MakeEntry(uint64_t index, std::string data) {
  raft::Entry entry;
  entry.term = Term(3);
  entry.index = Index(index);
  entry.kind = raft::EntryKind::kCommand;
  entry.data = std::move(data);
  return std::make_shared<const raft::Entry>(std::move(entry));
}

}  // namespace

void Run(std::string_view input) {
  auto frame = peer::DecodeFrame(input);
  if (!frame) return;
  const std::string bytes = Encoded(frame->body);
  auto again = peer::DecodeFrame(bytes);
  CHECK(again);
  CHECK(Encoded(again->body) == bytes);
}

std::vector<std::string> Seeds() {
  const raft::AppendRequest append{
      Term(3), Index(7), Term(2), Index(6), {MakeEntry(8, "a"), MakeEntry(9, "bcd")}};
  const raft::SnapshotNotice notice{
      Term(3), {Index(9), Term(2), {{raft::NodeId(1), raft::NodeId(2)}, {}, {raft::NodeId(3)}}}};
  const replica::PeerLeaseRequest lease_calls{{{{}, 7, LeaseId(77), {}}}};
  const replica::PeerLeaseAnswer lease_answers{{{7, ErrorCode::kOk, LeaseId(77), 60, 60, {}}}};
  return {Encoded(peer::Hello{peer::ChannelKind::kLog, "3.7.0"}),
          Encoded(peer::Ping{1, 2}),
          Encoded(raft::Message(append)),
          Encoded(raft::Message(raft::AppendReply{Term(3), false, Index(7), Index(6), Term(2)})),
          Encoded(raft::Message(raft::VoteRequest{Term(3), Index(7), Term(2), true, false})),
          Encoded(raft::Message(notice)),
          Encoded(raft::Message(raft::ForwardPropose{{"command", ""}})),
          Encoded(replica::PeerMessage(lease_calls)),
          Encoded(replica::PeerMessage(lease_answers))};
}

}  // namespace store::fuzz
