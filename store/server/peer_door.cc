// SPDX-License-Identifier: Apache-2.0
#include "store/server/peer_door.h"

#include <future>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace store::server {
namespace {

// HTTP/2: an empty SETTINGS frame (the server's preface), then GOAWAY with last stream 0 and
// NO_ERROR (RFC 9113, 3.4 and 6.8).
constexpr std::string_view kGoAway(
    "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    "\x00\x00\x08\x07\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00",
    26);

}  // namespace

Status PeerDoor::Open(const std::vector<Url>& urls) {
  for (const Url& url : urls) {
    if (url.tls()) {
      return Fail(ErrorCode::kUnsupported,
                  "--listen-peer-urls " + url.ToString() + ": TLS is not supported yet; use http");
    }
    auto listener = rpc::Listener::Open(url.Authority());
    if (!listener) return Fail(listener.error().WithContext("--listen-peer-urls"));
    listeners_.push_back(std::move(*listener));
  }
  return Ok();
}

void PeerDoor::Start(rpc::EventLoop& loop) {
  loop.Post([this, &loop] {
    for (auto& listener : listeners_) {
      listener->Start(loop, stats_, [this](int fd) { TurnAway(fd); });
    }
  });
}

void PeerDoor::Stop(rpc::EventLoop& loop) {
  std::promise<void> stopped;
  loop.Post([this, &stopped] {
    for (auto& listener : listeners_) listener->Stop();
    stopped.set_value();
  });
  stopped.get_future().wait();
}

// 26 bytes into an empty socket buffer: if they do not fit at once the peer is not worth waiting
// for.
void PeerDoor::TurnAway(int fd) {
  (void)::send(fd, kGoAway.data(), kGoAway.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(fd);
  if (auto suppressed = quiet_.Due("peer")) {
    log_.Warn("turned a peer connection away: this member has no peer transport yet",
              {{"suppressed", *suppressed}});
  }
}

}  // namespace store::server
