// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_dialer.h"

#include <absl/algorithm/container.h>

#include <utility>

namespace store::peer {

PeerDialer::PeerDialer(rpc::EventLoop& loop, const DialOptions& options, Opened opened)
    : loop_(loop),
      options_(options),
      opened_(std::move(opened)),
      alive_(std::make_shared<PeerDialer*>(this)) {}

PeerDialer::~PeerDialer() {
  if (timer_) loop_.Cancel(*timer_);
}

void PeerDialer::SetAddresses(std::vector<std::string> addresses) {
  if (addresses == addresses_) return;
  addresses_ = std::move(addresses);
  next_address_ = 0;
  if (connected() && absl::c_linear_search(addresses_, address_)) return;
  Dial();
}

void PeerDialer::Redial() { Dial(); }

void PeerDialer::Dial() {
  channel_.reset();
  if (addresses_.empty()) return;
  address_ = addresses_[next_address_++ % addresses_.size()];
  rpc::ChannelOptions options;
  options.address = address_;
  options.limits = options_.limits;
  options.connect_timeout = options_.connect_timeout;
  options.backoff_min = options_.backoff_min;
  options.backoff_max = options_.backoff_max;
  options.seed = options_.seed + ++dials_;
  channel_ = std::make_unique<rpc::Channel>(loop_, std::move(options));
  channel_->OnStateChange([this](rpc::Channel::State state) { OnState(state); });
  channel_->Connect();
}

void PeerDialer::OnState(rpc::Channel::State state) {
  if (state == rpc::Channel::State::kReady) Open();
  if (state != rpc::Channel::State::kBackoff || addresses_.size() < 2) return;
  // Another of its URLs; not inside the channel that is to go.
  loop_.After(options_.backoff_max / 2, [alive = std::weak_ptr<PeerDialer*>(alive_)] {
    auto self = alive.lock();
    if (self && !(*self)->connected()) (*self)->Dial();
  });
}

void PeerDialer::Open() {
  if (open_ || !connected()) return;
  open_ = true;
  opened_(channel_->Start(kExchangePath));
}

void PeerDialer::OnEnded(bool refused) {
  open_ = false;
  OpenAfter(refused ? options_.refused_pause : options_.backoff_min, refused);
}

// A connection that is made meanwhile opens at once; one that stayed is opened here. Who refuses
// may be somebody else, at an address that is the member's no more.
void PeerDialer::OpenAfter(Duration pause, bool elsewhere) {
  if (timer_) loop_.Cancel(*timer_);
  timer_ = loop_.After(pause, [this, elsewhere] {
    timer_.reset();
    if (elsewhere && !open_ && addresses_.size() > 1) return Dial();
    Open();
  });
}

}  // namespace store::peer
