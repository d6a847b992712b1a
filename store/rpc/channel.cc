// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/channel.h"

#include "store/rpc/h2_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace store::rpc {
namespace {

std::string AuthorityOf(const ChannelOptions& options) {
  if (!options.authority.empty()) return options.authority;
  // A path is no host name; this is what gRPC's own clients say over a unix socket.
  return options.address.starts_with("unix:") ? "localhost" : options.address;
}

}  // namespace

// A connect under way: waits until the socket is writable. Destroyed by its channel, never inside
// OnReady.
class Channel::Connecting final : private Pollable {
 public:
  Connecting(Channel& channel, int fd) : channel_(channel), fd_(fd) {
    channel_.loop_.Watch(fd_, EPOLLOUT, this);
  }
  ~Connecting() { Abandon(); }

  void Abandon() {
    if (fd_ < 0) return;
    channel_.loop_.Forget(fd_, this);
    close(std::exchange(fd_, -1));
  }

 private:
  void OnReady(uint32_t) override {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    channel_.loop_.Forget(fd_, this);
    int fd = std::exchange(fd_, -1);
    Channel* channel = &channel_;
    if (error == 0) {
      channel->OnConnected(fd);
      return;
    }
    close(fd);
    channel->Fail(fmt::format("connect {}: {}", channel->options_.address, std::strerror(error)));
  }

  Channel& channel_;
  int fd_;
};

Channel::Channel(EventLoop& loop, ChannelOptions options)
    : loop_(loop),
      options_(std::move(options)),
      authority_(AuthorityOf(options_)),
      random_(options_.seed),
      input_(std::numeric_limits<size_t>::max()),
      backoff_(options_.backoff_min),
      names_(loop, options_.resolve, options_.address, [this](Result<SocketAddress> found) {
        if (state_ == State::kConnecting) ConnectTo(std::move(found));
      }) {}

Channel::~Channel() {
  on_state_ = nullptr;
  Close();
  if (connection_) connection_->session()->OnClosed(CloseReason::kShutdown);
}

void Channel::Connect() {
  if (state_ != State::kIdle) return;
  Resolve();
}

void Channel::Close() {
  if (state_ == State::kClosed) return;
  if (timer_) loop_.Cancel(*timer_);
  timer_.reset();
  last_error_ = "the channel was closed";
  if (connecting_) connecting_->Abandon();
  session_ = nullptr;
  if (connection_) connection_->Close(CloseReason::kShutdown);
  FailWaiting(last_error_);
  SetState(State::kClosed);
}

void Channel::SetState(State state) {
  state_ = state;
  if (on_state_) on_state_(state);
}

void Channel::Resolve() {
  SetState(State::kConnecting);
  timer_ = loop_.After(options_.connect_timeout, [this] {
    timer_.reset();
    Fail(fmt::format("connect {}: timed out", options_.address));
  });
  if (SocketAddress::IsLiteral(options_.address)) {
    ConnectTo(SocketAddress::Resolve(options_.address));
    return;
  }
  names_.Ask();
}

void Channel::ConnectTo(Result<SocketAddress> address) {
  if (!address) {
    Fail(address.error().message());
    return;
  }
  int fd = socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    Fail(fmt::format("socket: {}", std::strerror(errno)));
    return;
  }
  int one = 1;
  if (!address->is_unix()) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, address->get(), address->size()) != 0 && errno != EINPROGRESS) {
    Fail(fmt::format("connect {}: {}", options_.address, std::strerror(errno)));
    close(fd);
    return;
  }
  connecting_ = std::make_unique<Connecting>(*this, fd);
}

void Channel::OnConnected(int fd) {
  auto peer = std::make_shared<PeerIdentity>();
  peer->address = options_.address;
  connection_ = std::make_unique<Connection>(loop_, std::make_unique<PlainStream>(fd),
                                             std::move(peer), *this);
  auto session =
      std::make_unique<H2Session>(*connection_, options_.limits, stats_, input_, nullptr);
  session_ = session.get();
  session_->OnPeerReady([this] { OnReady(); });
  // The server goes away: no new calls on this connection; those under way end on it.
  session_->OnPeerGoaway([this] {
    last_error_ = "the server is going away";
    if (session_ != nullptr) session_->StopOpening();
  });
  connection_->Start(std::move(session));
}

// The server's SETTINGS are here: it speaks HTTP/2 and works.
void Channel::OnReady() {
  if (timer_) loop_.Cancel(*timer_);
  timer_.reset();
  backoff_ = options_.backoff_min;
  SetState(State::kReady);
  std::vector<ClientCallPtr> waiting = std::exchange(waiting_, {});
  for (const ClientCallPtr& call : waiting) {
    if (session_ != nullptr) call->OpenOn(*session_, authority_);
  }
}

void Channel::Fail(std::string error) {
  if (timer_) loop_.Cancel(*timer_);
  timer_.reset();
  last_error_ = std::move(error);
  if (connecting_) connecting_->Abandon();
  session_ = nullptr;
  if (connection_) {
    connection_->Close(CloseReason::kConnectFailed);
    return;  // OnConnectionClosed comes back here without it
  }
  FailWaiting(last_error_);
  SetState(State::kBackoff);
  if (state_ != State::kBackoff) return;
  // Half fixed, half random, so that members restarted together do not knock together.
  const int64_t half = backoff_.count() / 2;
  Duration delay(half + static_cast<int64_t>(random_.Unit() * static_cast<double>(half)));
  backoff_ = std::min(backoff_ * 2, options_.backoff_max);
  timer_ = loop_.After(delay, [this] {
    timer_.reset();
    connecting_.reset();
    Resolve();
  });
}

void Channel::OnConnectionClosed(Connection* connection, CloseReason reason) {
  TransportStats::Add(stats_.connections_closed[static_cast<size_t>(reason)]);
  TransportStats::Add(stats_.bytes_read, connection->bytes_read());
  TransportStats::Add(stats_.bytes_written, connection->bytes_written());
  connection_.reset();
  if (state_ == State::kClosed) return;
  std::string error = reason == CloseReason::kConnectFailed
                          ? last_error_
                          : fmt::format("connection to {}: {}", options_.address, Name(reason));
  Fail(std::move(error));
}

void Channel::FailWaiting(const std::string& error) {
  for (const ClientCallPtr& call : std::exchange(waiting_, {})) {
    call->FailLater({GrpcCode::kUnavailable, error});
  }
}

ClientCallPtr Channel::Start(std::string_view path, CallOptions options) {
  auto call =
      std::make_shared<ClientCall>(loop_, options_.limits, std::string(path), std::move(options));
  if (state_ == State::kReady && session_ != nullptr) {
    call->OpenOn(*session_, authority_);
  } else if (state_ == State::kConnecting && waiting_.size() < options_.calls_waiting_max) {
    waiting_.push_back(call);
  } else {
    call->FailLater({GrpcCode::kUnavailable, last_error_.empty() ? "not connected" : last_error_});
  }
  return call;
}

void Channel::Unary(std::string_view path, const MessageBody& request, CallOptions options,
                    UnaryDone done) {
  ClientCallPtr call = Start(path, std::move(options));
  auto answer = std::make_shared<SharedBytes>();
  call->OnMessage([answer](SharedBytes message) { *answer = std::move(message); });
  call->OnFinish([answer, done = std::move(done)](const RpcStatus& status) mutable {
    done(status, status.ok() ? std::move(*answer) : SharedBytes());
  });
  call->Send(request);
  call->CloseSend();
}

}  // namespace store::rpc
