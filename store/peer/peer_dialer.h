// SPDX-License-Identifier: Apache-2.0
// PeerDialer: keeps one Exchange stream open to one member: a connection of its own to one of the
// member's URLs, made again with jittered back-off, the next URL after each failure, and a new
// stream when one has ended. Its loop only; owns the channel and the call until it has ended. Not
// destroyed inside one of its callbacks. TLS: the channel's options are made in one place (Dial).
#pragma once

#include "store/base/clock.h"
#include "store/rpc/channel.h"
#include "store/rpc/client_call.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/limits.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace store::peer {

inline constexpr const char* kExchangePath = "/sluice.peer.Peer/Exchange";

struct DialOptions {
  rpc::Limits limits;
  Duration connect_timeout = std::chrono::seconds(2);
  // A member that restarts should be found at once, and a refused connection costs little.
  Duration backoff_min = std::chrono::milliseconds(50);
  Duration backoff_max = std::chrono::milliseconds(500);
  Duration refused_pause = std::chrono::seconds(2);  // who we are will not change soon
  uint64_t seed = 0;
};

class PeerDialer {
 public:
  // A new stream: set its callbacks before returning.
  using Opened = absl::AnyInvocable<void(const rpc::ClientCallPtr& call)>;

  PeerDialer(rpc::EventLoop& loop, const DialOptions& options, Opened opened);
  ~PeerDialer();
  PeerDialer(const PeerDialer&) = delete;
  PeerDialer& operator=(const PeerDialer&) = delete;

  // "host:port" of each URL; dials anew unless what it is connected to is among them.
  void SetAddresses(std::vector<std::string> addresses);
  // The call it opened has ended. `refused`: by the other member's decision.
  void OnEnded(bool refused);
  // The connection is silent: a new one.
  void Redial();
  // Why there is no connection.
  std::string last_error() const { return channel_ ? channel_->last_error() : std::string(); }

 private:
  void Dial();
  void OnState(rpc::Channel::State state);
  void Open();
  void OpenAfter(Duration pause, bool elsewhere);
  bool connected() const { return channel_ && channel_->state() == rpc::Channel::State::kReady; }

  rpc::EventLoop& loop_;
  const DialOptions options_;
  Opened opened_;
  std::vector<std::string> addresses_;
  size_t next_address_ = 0;
  std::string address_;  // of channel_
  uint64_t dials_ = 0;
  std::unique_ptr<rpc::Channel> channel_;
  bool open_ = false;  // a call is under way
  std::optional<Executor::TimerId> timer_;
  std::shared_ptr<PeerDialer*> alive_;
};

}  // namespace store::peer
