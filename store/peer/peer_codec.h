// SPDX-License-Identifier: Apache-2.0
// Frames between members, to and from the messages of the core: sluice.peer.Frame of
// proto/peer.proto. Encoding refers to the bytes of large entries and commands instead of copying
// them (rpc sends parts of 4 KiB and more by reference); decoding copies each entry once, into the
// Entry. Pure, any thread. A frame is at most what the transport lets through; what cannot be a
// frame is one error that says why.
#pragma once

#include "store/base/bytes.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/raft/message.h"
#include "store/replica/env.h"
#include "store/rpc/call.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace store::peer {

inline constexpr uint32_t kProtocol = 1;

// Each is a connection of its own, so that a heartbeat never waits behind data.
enum class ChannelKind : uint8_t { kControl = 0, kLog = 1 };
inline constexpr size_t kChannels = 2;

struct FrameHeader {
  ClusterId cluster;
  raft::NodeId from;
  raft::NodeId to;
  uint32_t protocol = kProtocol;
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};
// The first frame of each side of a stream.
struct Hello {
  ChannelKind channel = ChannelKind::kControl;
  std::string server_version;
  std::vector<std::string> peer_urls{};  // of the sender
};
struct Ping {
  uint64_t sequence = 0;
  int64_t sent_unix_ns = 0;
};
struct Pong {
  uint64_t sequence = 0;
  int64_t received_unix_ns = 0;
};
using Body = std::variant<Hello, Ping, Pong, raft::Message, replica::PeerMessage>;
struct Frame {
  FrameHeader header;
  Body body;
};

// Where a message travels: entries and proposals on the log channel, all else on control.
ChannelKind ChannelOf(const raft::Message& message);
rpc::MessageBody EncodeFrame(const FrameHeader& header, const Body& body);
// kInvalidArgument: not a frame, or one that this release does not know.
Result<Frame> DecodeFrame(std::string_view bytes);

}  // namespace store::peer
